package schema

import (
	"time"

	"github.com/cardea/cardea/typeid"
)

// Pass is a person's coming into or leaving an area, as it is kept in jsonb.
type Pass struct {
	State   string         `json:"state"` // of the presence
	Since   time.Time      `json:"since"`
	Door    typeid.Door    `json:"door,omitzero"`    // none: an operator said so
	Command typeid.Command `json:"command,omitzero"` // what let them through, if one did
}
