package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"time"

	entbase "entgo.io/ent"
	"entgo.io/ent/dialect/sql"

	"github.com/cardea/cardea/ent"
	"github.com/cardea/cardea/ent/migrate"
)

// What Ent generates for each noun, as far as archives need it.
type (
	nounClient[Q, C, B any] interface {
		Query() Q
		Create() C
		CreateBulk(...C) B
	}
	nounQuery[T, S any] interface {
		Modify(...func(*sql.Selector)) S
		All(context.Context) ([]*T, error)
	}
	nounCreate[C, K, M any] interface {
		SetID(K) C
		Mutation() M
	}
	nounBulk interface{ Exec(context.Context) error }
)

// archiving is how a table goes into an archive and comes out of it.
type archiving struct {
	keeps     []string // columns that are written although they are sensitive
	leaves    []string // columns that are not written
	arrivesAs func() map[string]any
}

type archiveOption func(*archiving)

func keeping(columns ...string) archiveOption { return func(a *archiving) { a.keeps = columns } }
func leaving(columns ...string) archiveOption { return func(a *archiving) { a.leaves = columns } }
func arriving(as func() map[string]any) archiveOption {
	return func(a *archiving) { a.arrivesAs = as }
}

// rows is the file of a table.
func rows[
	L nounClient[Q, C, B], Q nounQuery[T, S], C nounCreate[C, K, M], B nounBulk, M entbase.Mutation, T, S, K any,
](name string, of func(*ent.Client) L, options ...archiveOption) ArchiveFile {
	var how archiving
	for _, option := range options {
		option(&how)
	}
	columns := how.columns(name, reflect.TypeFor[T]())
	return ArchiveFile{
		Name: name,
		Write: func(ctx context.Context, db *ent.Client, to io.Writer) (count int, err error) {
			var after any
			for {
				q := of(db).Query()
				q.Modify(func(s *sql.Selector) {
					if after != nil {
						s.Where(sql.GT(s.C("id"), after))
					}
					s.OrderBy(s.C("id")).Limit(archivePage)
				})
				page, err := q.All(ctx)
				if err != nil {
					return count, err
				}
				for _, row := range page {
					value := reflect.ValueOf(row).Elem()
					if err := columns.write(to, value); err != nil {
						return count, err
					}
					after = value.FieldByName("ID").Interface()
				}
				if count += len(page); len(page) < archivePage {
					return count, nil
				}
			}
		},
		load: func(ctx context.Context, tx *ent.Tx, lines iter.Seq2[[]byte, error]) (int, error) {
			last := ""
			return inBatches(lines, func(line []byte) (C, error) {
				create, row := of(tx.Client()).Create(), new(T)
				value := reflect.ValueOf(row).Elem()
				if err := columns.read(line, value); err != nil {
					return create, err
				}
				id, _ := reflect.TypeAssert[K](value.FieldByName("ID"))
				if last >= fmt.Sprint(id) {
					return create, Error{CodeBadUserInput, "is out of order", "id"}
				}
				last = fmt.Sprint(id)
				if err := checkArchived(ctx, row); err != nil {
					return create, err
				}
				m := create.SetID(id).Mutation()
				return create, errors.Join(columns.fill(m, value), how.arrive(m))
			}, func(some []C) error { return of(tx.Client()).CreateBulk(some...).Exec(ctx) })
		},
	}
}

// arrive fills what was not written.
func (a archiving) arrive(m entbase.Mutation) error {
	if a.arrivesAs == nil {
		return nil
	}
	for column, value := range a.arrivesAs() {
		if err := m.SetField(column, value); err != nil {
			return err
		}
	}
	return nil
}

// archiveBatch is how many bytes of lines are held at once, beside the last of them.
const archiveBatch = 1 << 20

// inBatches makes rows of lines, and saves as many at once as a statement takes.
func inBatches[C any](
	lines iter.Seq2[[]byte, error], row func(line []byte) (C, error), save func([]C) error,
) (count int, err error) {
	var batch []C
	size := 0
	for line, err := range lines {
		if err != nil {
			return count, err
		}
		one, err := row(line)
		if err != nil {
			return count, lineError{fmt.Sprintf("line %d", count+1), err}
		}
		count++
		if batch, size = append(batch, one), size+len(line); len(batch) < rowsAtOnce && size < archiveBatch {
			continue
		}
		if err := save(batch); err != nil {
			return count, lineError{fmt.Sprintf("up to line %d", count), err}
		}
		batch, size = batch[:0], 0
	}
	if len(batch) > 0 {
		if err := save(batch); err != nil {
			return count, lineError{fmt.Sprintf("up to line %d", count), err}
		}
	}
	return count, nil
}

// lineError is what is wrong in a line of an archive's file, or up to one.
type lineError struct {
	where string
	err   error
}

func (a lineError) Error() string { return a.where + ": " + a.err.Error() }
func (a lineError) Unwrap() error { return a.err }

// archivedColumn is a column that is written, and where Ent has it in a row.
type archivedColumn struct {
	name     string
	field    int
	nullable bool
}

type archivedColumns []archivedColumn

// columns pairs a table's columns with the fields of Ent's rows, which come in the same order. It panics
// when the program starts if they do not, or something is written that is not there.
func (a archiving) columns(table string, row reflect.Type) (all archivedColumns) {
	fields := reflect.VisibleFields(row)
	fields = slices.DeleteFunc(fields, func(f reflect.StructField) bool {
		return !f.IsExported() || len(f.Index) > 1 || f.Tag.Get("json") == ""
	})
	for _, t := range migrate.Tables {
		if t.Name != table {
			continue
		}
		for i, column := range t.Columns {
			name, _, _ := strings.Cut(fields[i].Tag.Get("json"), ",")
			switch {
			case name == "-" && !slices.Contains(a.keeps, column.Name), slices.Contains(a.leaves, column.Name):
				continue
			case name != "-" && name != column.Name:
				panic("archive " + table + ": " + name + " is not " + column.Name)
			}
			all = append(all, archivedColumn{column.Name, fields[i].Index[0], column.Nullable})
		}
	}
	if len(all) == 0 {
		panic("archive " + table + ": no such table")
	}
	return all
}

// write writes a row as a line of JSON that names every column.
func (c archivedColumns) write(to io.Writer, row reflect.Value) error {
	line := []byte{'{'}
	for i, column := range c {
		value, err := json.Marshal(inUTC(row.Field(column.field).Interface()))
		if err != nil {
			return fmt.Errorf("write %s: %w", column.name, err)
		}
		if i > 0 {
			line = append(line, ',')
		}
		line = append(append(append(line, '"'), column.name...), '"', ':')
		line = append(line, value...)
	}
	_, err := to.Write(append(line, '}', '\n'))
	return err
}

// inUTC keeps the database's time zone out of instants.
func inUTC(value any) any {
	switch at := value.(type) {
	case time.Time:
		return at.UTC()
	case *time.Time:
		if at != nil {
			return at.UTC()
		}
	}
	return value
}

// read reads what write wrote. A column that is not named has its zero value: the archive is of an older
// version. One that is named and not known is of a newer one.
func (c archivedColumns) read(line []byte, row reflect.Value) error {
	var named map[string]json.RawMessage
	if err := json.Unmarshal(line, &named); err != nil || named == nil {
		return Error{CodeBadUserInput, "is not a JSON object", ""}
	}
	for _, column := range c {
		text, there := named[column.name]
		if !there {
			continue
		}
		delete(named, column.name)
		if err := json.Unmarshal(text, row.Field(column.field).Addr().Interface()); err != nil {
			return Error{CodeBadUserInput, column.name + " has a value of another kind", column.name}
		}
		raw, ok := reflect.TypeAssert[*json.RawMessage](row.Field(column.field).Addr())
		if ok && bytes.Equal(*raw, []byte("null")) {
			*raw = nil
		}
	}
	for name := range named {
		return Error{CodeBadUserInput, "has a column that this version does not know", name}
	}
	return nil
}

// fill gives a new row what was read. What is null stays as the database makes it.
func (c archivedColumns) fill(m entbase.Mutation, row reflect.Value) error {
	for _, column := range c {
		value := row.Field(column.field)
		if column.name == "id" || column.nullable && value.IsZero() {
			continue
		}
		if value.Kind() == reflect.Pointer {
			value = value.Elem()
		}
		if err := m.SetField(column.name, value.Interface()); err != nil {
			return err
		}
	}
	return nil
}
