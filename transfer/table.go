package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cardea/cardea/access"
)

// table is a CSV file: names of columns, then rows. It may begin with a byte order mark, end lines in
// either way, and have semicolons in place of commas, as spreadsheets of some languages write it.
type table struct {
	columns []string
	rows    []row
}

type row struct {
	line  int
	table *table
	cells []string
}

func readTable(body io.Reader) (*table, error) {
	text, err := io.ReadAll(body)
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, badFile("the file is longer than 8 MiB")
	}
	if err != nil {
		return nil, badFile("the file broke off")
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, badFile("the file is not UTF-8")
	}
	reader := csv.NewReader(bytes.NewReader(text))
	head, _, _ := bytes.Cut(text, []byte("\n"))
	if bytes.IndexByte(head, ';') >= 0 && bytes.IndexByte(head, ',') < 0 {
		reader.Comma = ';'
	}
	t := &table{}
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, badFile(err.Error())
		}
		if t.columns == nil {
			t.columns = cells
			continue
		}
		line, _ := reader.FieldPos(0)
		for i, cell := range cells {
			cells[i] = readCell(cell)
		}
		t.rows = append(t.rows, row{line, t, cells})
	}
	if t.columns == nil {
		return nil, badFile("the file is empty")
	}
	return t, nil
}

// columnsAre fails unless the table has all that are needed, and none beyond them and the others.
func (t *table) columnsAre(needed []string, others ...string) error {
	for _, name := range needed {
		if !slices.Contains(t.columns, name) {
			return badFile("the column " + name + " is missing")
		}
	}
	for i, name := range t.columns {
		if slices.Index(t.columns, name) != i {
			return badFile("the column " + name + " is there twice")
		}
		if !slices.Contains(needed, name) && !slices.Contains(others, name) {
			return badFile("there is no column " + name + " here, but " +
				strings.Join(slices.Concat(needed, others), ", "))
		}
	}
	return nil
}

// has says whether there is a column.
func (t *table) has(column string) bool { return slices.Contains(t.columns, column) }

// at is the cell of a column; nil if there is no such column.
func (r row) at(column string) *string {
	i := slices.Index(r.table.columns, column)
	if i < 0 {
		return nil
	}
	return &r.cells[i]
}

// text is the cell of a column, "" without one.
func (r row) text(column string) string {
	if cell := r.at(column); cell != nil {
		return *cell
	}
	return ""
}

func badFile(message string) error {
	return access.Error{Code: access.CodeBadUserInput, Message: message, Field: "file"}
}

// What a spreadsheet takes for a formula begins with one of these.
const formulas = "=+-@\t\r"

// writeCell keeps a cell from being taken for a formula: it puts an apostrophe before it, and before one
// that looks as if that had been done.
func writeCell(cell string) string {
	if !risky(cell) && !quoted(cell) {
		return cell
	}
	return "'" + cell
}

// readCell undoes writeCell, and leaves other apostrophes.
func readCell(cell string) string {
	if quoted(cell) {
		return cell[1:]
	}
	return cell
}

func risky(cell string) bool { return cell != "" && strings.IndexByte(formulas, cell[0]) >= 0 }

// quoted says whether apostrophes at the beginning of a cell lead to a formula.
func quoted(cell string) bool {
	rest := strings.TrimLeft(cell, "'")
	return rest != cell && risky(rest)
}

// writer writes a table, with lines that end as RFC 4180 has it.
type writer struct {
	buffered *bufio.Writer
	csv      *csv.Writer
}

func newWriter(to io.Writer) *writer {
	w := &writer{buffered: bufio.NewWriterSize(to, 64<<10)}
	w.csv = csv.NewWriter(w.buffered)
	w.csv.UseCRLF = true
	return w
}

func (w *writer) row(cells ...string) error {
	for i, cell := range cells {
		cells[i] = writeCell(cell)
	}
	return w.csv.Write(cells)
}

func (w *writer) end() error {
	w.csv.Flush()
	if err := w.csv.Error(); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	return w.buffered.Flush()
}
