package mail

import (
	"fmt"

	"github.com/cardea/cardea/access"
)

// words are how a letter reads.
func words(l access.Letter) (subject, text string) {
	switch l.Kind {
	case access.LetterSignInCode:
		return l.Code + " is your code to sign in", fmt.Sprintf(`Your code to sign in is

    %s

It is good for ten minutes, once, and only where you asked for it. Nobody will ever ask you for it:
do not pass it on.

If you did not ask for a code, somebody typed your address. You need not do anything.
`, l.Code)
	case access.LetterInvitation:
		return "You can sign in to " + l.Organization, fmt.Sprintf(`You were invited to %s.

Sign in with this e-mail address, at

    %s

You will get a code by mail. There is no password.
`, l.Organization, l.Link)
	}
	return "", ""
}
