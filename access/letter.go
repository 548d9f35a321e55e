package access

// Letter is a mail that somebody shall get. How it reads is its sender's.
type Letter struct {
	Kind LetterKind
	To   string // an e-mail address; "" is nobody
	// Code is what SIGN_IN_CODE is about.
	Code string
	// Organization and Link are what INVITATION is about.
	Organization string
	Link         string
}

// LetterKind is what a letter is about.
type LetterKind string

// The kinds of letters.
const (
	LetterSignInCode LetterKind = "SIGN_IN_CODE"
	LetterInvitation LetterKind = "INVITATION"
)
