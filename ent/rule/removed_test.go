//go:build !norule

package rule_test

// removed says that this test runs without the rule.
const removed = false
