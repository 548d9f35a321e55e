package graph

import (
	"fmt"

	"github.com/cardea/cardea/access"
)

// The limits of variables, which are checked before anything is made of them.
const (
	maxVariables = 32 << 10 // bytes
	maxNesting   = 12       // lists and objects within each other; of values in documents, too
	maxItems     = 1000     // of one list
)

// checkVariables says whether a JSON object is within the limits. What is no JSON is found later. It
// reads each byte once and keeps nothing.
func checkVariables(raw []byte) *access.Error {
	if len(raw) > maxVariables {
		return &access.Error{Code: codeLongVariables, Message: "the variables are longer than 32 KiB"}
	}
	var commas [maxNesting + 2]int // of the list or object that is open at each depth
	depth, text := -1, false       // of the variables themselves: 0
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '"':
			text = !text
		case text && c == '\\':
			i++
		case text:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return &access.Error{Code: codeDeepValue,
					Message: fmt.Sprintf("a value is nested deeper than %d", maxNesting)}
			}
			commas[depth] = 0
		case c == '}' || c == ']':
			depth = max(depth-1, -1)
		case c == ',' && depth >= 0:
			if commas[depth]++; commas[depth] >= maxItems { //nolint:gosec // G602: no deeper than maxNesting
				return &access.Error{Code: codeLongList,
					Message: fmt.Sprintf("a list has more than %d items", maxItems)}
			}
		}
	}
	return nil
}
