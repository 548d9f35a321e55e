//go:build ignore

package main

import (
	"log"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

// The upsert feature stays off: an upsert on a key could take over another organization's row,
// and no hook can see it (docs/adr/0006).
func main() {
	err := entc.Generate("./schema", &gen.Config{
		Package: "github.com/cardea/cardea/ent",
		Features: []gen.Feature{
			gen.FeatureIntercept, gen.FeatureLock, gen.FeatureModifier,
			gen.FeatureExecQuery, gen.FeatureVersionedMigration,
		},
	}, entc.TemplateDir("./template"))
	if err != nil {
		log.Fatal(err)
	}
}
