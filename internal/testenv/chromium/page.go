package chromium

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Page is a window that shares no cookies with others.
type Page struct {
	*Browser
	context, session string
}

// Page opens a window.
func (b *Browser) Page() *Page {
	b.t.Helper()
	p := &Page{Browser: b}
	var made struct{ BrowserContextID, TargetID, SessionID string }
	b.call("", "Target.createBrowserContext", nil, &made)
	p.context = made.BrowserContextID
	b.call("", "Target.createTarget",
		params{"url": "about:blank", "browserContextId": p.context}, &made)
	b.call("", "Target.attachToTarget", params{"targetId": made.TargetID, "flatten": true}, &made)
	p.session = made.SessionID
	for _, domain := range []string{"Page", "Runtime", "Log", "Network"} {
		b.call(p.session, domain+".enable", nil, nil)
	}
	return p
}

// Go opens an address and waits until it is there.
func (p *Page) Go(url string) {
	p.t.Helper()
	p.Eval("window.left = true", nil)
	var gone struct{ ErrorText string }
	p.call(p.session, "Page.navigate", params{"url": url}, &gone)
	if gone.ErrorText != "" {
		p.t.Fatalf("%s: %s", url, gone.ErrorText)
	}
	p.Wait("!window.left && document.readyState === 'complete'")
}

// Eval has the page work an expression out, as a person's deed, and waits if it is a promise.
func (p *Page) Eval(expression string, to any) {
	p.t.Helper()
	if err := p.eval(expression, to); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
}

func (p *Page) eval(expression string, to any) error {
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.try(p.session, "Runtime.evaluate", params{"expression": expression,
		"returnByValue": true, "awaitPromise": true, "userGesture": true}, &got)
	switch {
	case err != nil:
		return err
	case got.ExceptionDetails != nil:
		return errors.New(got.ExceptionDetails.Text + " " + got.ExceptionDetails.Exception.Description)
	case to == nil:
		return nil
	}
	return json.Unmarshal(got.Result.Value, to)
}

// Wait waits until an expression is true. While a page gives way to another, nothing is.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); <-time.After(20 * time.Millisecond) {
		var is bool
		if p.eval("!!("+expression+")", &is) == nil && is {
			return
		}
	}
	var shows string
	_ = p.eval("location.href + '\\n' + document.body.innerText", &shows)
	p.t.Fatalf("never true: %s\n%s\n%s", expression, shows, strings.Join(p.Complaints(), "\n"))
}

// At waits until the page is that of a path, query included.
func (p *Page) At(path string) {
	p.t.Helper()
	p.Wait("document.readyState === 'complete' && location.pathname + location.search === " + quote(path))
}

// Shows waits until the page shows a text.
func (p *Page) Shows(text string) {
	p.t.Helper()
	p.Wait("document.body.innerText.includes(" + quote(text) + ")")
}

// Fill types a text into a field.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Eval("document.querySelector("+quote(selector)+").value = "+quote(text), nil)
}

// Press presses the button that is named by a text. It may lead away so soon that nothing of the page
// is left to say that it was pressed.
func (p *Page) Press(text string) {
	p.t.Helper()
	err := p.eval("[...document.querySelectorAll('button')].find("+
		"b => (b.ariaLabel ?? b.innerText) === "+quote(text)+").click()", nil)
	if err != nil && !strings.Contains(err.Error(), "navigated") {
		p.t.Fatalf("press %s: %v", text, err)
	}
}

func quote(text string) string {
	raw, _ := json.Marshal(text) // of a string it does not fail
	return string(raw)
}

// Complaints is what the browser has found wrong with the page so far: errors of scripts, and what the
// page's policy refused.
func (p *Page) Complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.logged[p.session])
}

// Cookie is one that the browser keeps.
type Cookie struct {
	Name, Value, Domain, Path, SameSite string
	Expires                             float64 // seconds since 1970
	Secure, HTTPOnly                    bool
}

// Cookies returns those of the window, by name.
func (p *Page) Cookies() map[string]Cookie {
	p.t.Helper()
	var got struct{ Cookies []Cookie }
	p.call("", "Storage.getCookies", params{"browserContextId": p.context}, &got)
	all := map[string]Cookie{}
	for _, one := range got.Cookies {
		all[one.Name] = one
	}
	return all
}

// Plant has the browser keep a cookie that no page has set.
func (p *Page) Plant(url, name, value string) {
	p.t.Helper()
	var got struct{ Success bool }
	p.call(p.session, "Network.setCookie", params{
		"url": url, "name": name, "value": value, "path": "/", "secure": true, "httpOnly": true,
	}, &got)
	if !got.Success {
		p.t.Fatalf("no cookie %s", name)
	}
}
