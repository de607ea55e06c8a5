package params

import (
	"strings"
	"testing"
	"time"
)

func TestPage(t *testing.T) {
	for text, want := range map[string]int{"": 1, "1": 1, "10000": 10_000} {
		if got, err := Page(text); err != nil || got != want {
			t.Errorf("Page(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "-1", "+1", "01", "1.5", " 1", "1e3", "x", "10001", "99999999999999999999", "१"} {
		if got, err := Page(text); err == nil {
			t.Errorf("Page(%q) = %d; want an error", text, got)
		}
	}
}

func TestSlow(t *testing.T) {
	if got, err := Slow("30000"); err != nil || got != MaxSlow {
		t.Errorf("Slow(30000) = %v, %v", got, err)
	}
	if got, err := Slow("7"); err != nil || got != 7*time.Millisecond {
		t.Errorf("Slow(7) = %v, %v", got, err)
	}
	for _, text := range []string{"", "-1", "30001"} {
		if got, err := Slow(text); err == nil {
			t.Errorf("Slow(%q) = %v; want an error", text, got)
		}
	}
}

func TestParseSearch(t *testing.T) {
	for _, test := range []struct {
		query, variant string
		ok, nPlusOne   bool
	}{
		{"kernels", "", true, false},
		{"kernels", "nplus1", true, true},
		{strings.Repeat("ü", MaxQuery), "", true, false},
		{strings.Repeat("ü", MaxQuery+1), "", false, false},
		{"", "", false, false},
		{"a\x00b", "", false, false},
		{"a\nb", "", false, false},
		{"\xff", "", false, false},
		{"kernels", "nplus2", false, false},
	} {
		got, err := ParseSearch(test.query, test.variant)
		if (err == nil) != test.ok || got.NPlusOne != test.nPlusOne {
			t.Errorf("ParseSearch(%q, %q) = %+v, %v", test.query, test.variant, got, err)
		}
	}
}

func TestParseCheckout(t *testing.T) {
	good := `{"event":3,"quantity":2,"customer":"Ada"}`
	if got, err := ParseCheckout(strings.NewReader(good)); err != nil || got != (Checkout{3, 2, "Ada"}) {
		t.Errorf("ParseCheckout(%s) = %+v, %v", good, got, err)
	}
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{`, good + good, good + `]`,
		`{"event":0,"quantity":2,"customer":"Ada"}`,
		`{"event":-3,"quantity":2,"customer":"Ada"}`,
		`{"event":3,"quantity":0,"customer":"Ada"}`,
		`{"event":3,"quantity":-1,"customer":"Ada"}`,
		`{"event":3,"quantity":21,"customer":"Ada"}`,
		`{"event":3,"quantity":99999999999,"customer":"Ada"}`,
		`{"event":3,"quantity":1.5,"customer":"Ada"}`,
		`{"event":"3","quantity":2,"customer":"Ada"}`,
		`{"event":3,"quantity":2,"customer":""}`,
		`{"event":3,"quantity":2,"customer":"A\u0000"}`,
		`{"event":3,"quantity":2,"customer":"Ada","price":0}`,
	} {
		if got, err := ParseCheckout(strings.NewReader(body)); err == nil {
			t.Errorf("ParseCheckout(%s) = %+v; want an error", body, got)
		}
	}
}

// FuzzParseCheckout: whatever is accepted is within the limits.
func FuzzParseCheckout(f *testing.F) {
	f.Add(`{"event":3,"quantity":2,"customer":"Ada"}`)
	f.Add(`{"event":-1,"quantity":0,"customer":"\ud800"}`)
	f.Fuzz(func(t *testing.T, body string) {
		order, err := ParseCheckout(strings.NewReader(body))
		if err != nil {
			return
		}
		if order.Event < 1 || order.Quantity < 1 || order.Quantity > MaxQuantity || order.Customer == "" {
			t.Errorf("accepted %q as %+v", body, order)
		}
	})
}

// FuzzNumbers: whatever is accepted is within the limits.
func FuzzNumbers(f *testing.F) {
	f.Add("1")
	f.Add("-9223372036854775808")
	f.Fuzz(func(t *testing.T, text string) {
		if page, err := Page(text); err == nil && (page < 1 || page > MaxPage) {
			t.Errorf("Page(%q) = %d", text, page)
		}
		if id, err := EventID(text); err == nil && id < 1 {
			t.Errorf("EventID(%q) = %d", text, id)
		}
		if wait, err := Slow(text); err == nil && (wait < 0 || wait > MaxSlow) {
			t.Errorf("Slow(%q) = %v", text, wait)
		}
	})
}
