package graph

import (
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// strictVariables refuses variables that gqlgen's coercion lets through and the schema does not:
// values of enumerations in another case.
func strictVariables(schema *ast.Schema, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		path := ast.Path{ast.PathName("variable"), ast.PathName(v.Variable)}
		given, ok := op.Variables[v.Variable]
		if fault := strictValue(schema, v.Type, given, path); ok && fault != nil {
			return fault
		}
	}
	return nil
}

func strictValue(schema *ast.Schema, t *ast.Type, value any, path ast.Path) *gqlerror.Error {
	if value == nil {
		return nil
	}
	if t.Elem != nil {
		items, ok := value.([]any)
		if !ok {
			items = []any{value}
		}
		for i, item := range items {
			at := append(slices.Clone(path), ast.PathIndex(i))
			if fault := strictValue(schema, t.Elem, item, at); fault != nil {
				return fault
			}
		}
		return nil
	}
	switch def := schema.Types[t.NamedType]; def.Kind { //nolint:exhaustive // scalars read themselves
	case ast.Enum:
		if name, ok := value.(string); !ok || def.EnumValues.ForName(name) == nil {
			return fault(path, fmt.Sprintf("is no value of %s", def.Name))
		}
	case ast.InputObject:
		fields, _ := value.(map[string]any)
		for _, field := range def.Fields {
			at := append(slices.Clone(path), ast.PathName(field.Name))
			if fault := strictValue(schema, field.Type, fields[field.Name], at); fault != nil {
				return fault
			}
		}
	}
	return nil
}

func fault(path ast.Path, message string) *gqlerror.Error {
	refused := refusal(codeValidation, message)
	refused.Path = path
	return refused
}
