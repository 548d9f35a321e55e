// Package ent is the Postgres model: schema, rule, pool and migrations are written by hand, the rest is
// generated from schema.
package ent

//go:generate go run entc.go
