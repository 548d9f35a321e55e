// Command generate writes graph/generated, and adds what is missing to graph/*.resolvers.go: gqlgen
// with gqlgen.yml, and the tables by which graph/answer executes operations.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"github.com/99designs/gqlgen/api"
	"github.com/99designs/gqlgen/codegen"
	"github.com/99designs/gqlgen/codegen/config"
	"github.com/99designs/gqlgen/codegen/templates"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	c, err := config.LoadConfigFromDefaultLocations()
	if err != nil {
		return err
	}
	return api.Generate(c, api.AddPlugin(tables{}))
}

//go:embed tables.gotpl
var text string

// tables is a plugin of gqlgen.
type tables struct{}

// Name implements plugin.Plugin.
func (tables) Name() string { return "tables" }

// GenerateCode implements plugin.CodeGenerator.
func (tables) GenerateCode(data *codegen.Data) error {
	for _, object := range data.Objects {
		for _, f := range object.Fields {
			if f.HasDirectives() || f.HasHaser || f.Batch || f.IsMap() {
				return fmt.Errorf("%s.%s is bound in a way that has no table", object.Name, f.Name)
			}
		}
	}
	return templates.Render(templates.Options{
		PackageName:     data.Config.Exec.Package,
		Template:        text,
		Filename:        filepath.Join(data.Config.Exec.DirName, "tables.generated.go"),
		Data:            data,
		GeneratedHeader: true,
		Packages:        data.Config.Packages,
		Funcs: map[string]any{
			// direct says that a field is read off its object: nothing can fail, nobody is asked.
			"direct": func(f *codegen.Field) bool {
				return !f.IsResolver && (f.IsVariable() ||
					f.IsMethod() && !f.MethodHasContext && len(f.Args) == 0 && f.NoErr && !f.VOkFunc)
			},
			"leaf": func(t *config.TypeReference) bool { return t.Definition.IsLeafType() },
			"fast": func(t *config.TypeReference) string { return fast[t.Marshaler.FullName()] },
		},
	})
}

// fast are the marshalers of gqlgen that answer has a shorter way for.
var fast = map[string]string{
	"github.com/99designs/gqlgen/graphql.MarshalString":  "String",
	"github.com/99designs/gqlgen/graphql.MarshalInt":     "Int",
	"github.com/99designs/gqlgen/graphql.MarshalInt64":   "Int",
	"github.com/99designs/gqlgen/graphql.MarshalBoolean": "Bool",
}
