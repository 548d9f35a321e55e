package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// statCost is under which an operation's statistics have its cost.
const statCost = "cost"

// prepare makes a request an operation that may be executed, or says why it may not: in the order of
// what that takes, so that what is hostile is found early. The operation is never nil.
func (h *Handler) prepare(
	ctx context.Context, r *request,
) (*graphql.OperationContext, gqlerror.List) {
	if fault := h.charge(ctx, r, 1); fault != nil {
		return new(graphql.OperationContext), gqlerror.List{fault}
	}
	v, fault := h.find(ctx, r)
	if fault != nil {
		return new(graphql.OperationContext), gqlerror.List{fault}
	}
	if v.faults != nil {
		return new(graphql.OperationContext), v.faults
	}
	op, faults := h.executor.CreateOperationContext(
		context.WithValue(ctx, documentKey, v.doc), &r.RawParams)
	if len(faults) > 0 {
		return op, faults
	}
	op.DisableIntrospection = false // of a public schema, for whoever has a token
	if fault := strictVariables(h.schema, op); fault != nil {
		return op, gqlerror.List{fault}
	}
	cost, fault := v.cost(op.Operation, op.Variables)
	if fault == nil {
		fault = h.charge(ctx, r, pointsOf(cost)-1)
	}
	if fault != nil {
		return op, gqlerror.List{fault}
	}
	op.Stats.SetExtension(statCost, cost)
	return op, nil
}
