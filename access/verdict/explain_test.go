package verdict_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/cardea/cardea/access/verdict"
)

// The one step of an explanation that decides says what Decide says, whatever the facts.
func TestExplanationDecidesAsDecideDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		policy, q := verdict.Compile(w.Facts), w.drawQuestion()
		for _, q.At = range w.moments() {
			v, steps := policy.Decide(q), policy.Explain(q)
			var deciding []verdict.Step
			for _, s := range steps {
				if s.Decides {
					deciding = append(deciding, s)
				}
			}
			if len(deciding) != 1 {
				t.Fatalf("%d steps decide: %+v", len(deciding), steps)
			}
			got, want := deciding[0], stepOf(v)
			if want.SharedFrom = got.SharedFrom; got != want { // which verdicts do not tell
				t.Fatalf("the deciding step is %+v\nwant %+v\nof %+v", got, want, steps)
			}
		}
	})
}

// stepOf is the step that a verdict is from.
func stepOf(v verdict.Verdict) verdict.Step {
	s := verdict.Step{Rule: v.Rule, Effect: verdict.EffectRefuses, Reason: v.Reason, Decides: true}
	if v.Granted {
		s.Effect = verdict.EffectGrants
	}
	switch v.Rule {
	case verdict.RuleKey:
		s.Key, s.UserGroup, s.DoorGroup = v.Key, v.UserGroup, v.DoorGroup
	case verdict.RuleArea:
		s.Area = v.Area
	default:
	}
	return s
}
