// Package params reads what callers send. Whatever comes in, the answer is a
// value within its limits or an error that may be shown to the caller.
package params

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of what may be asked for.
const (
	MaxPage     = 10_000
	MaxQuery    = 64 // characters of a search, and of a customer's name
	MaxQuantity = 20
	MaxSlow     = 30 * time.Second
	MaxBody     = 4 << 10 // bytes of a checkout
)

// Page reads a page number from 1; none means the first.
func Page(text string) (int, error) {
	if text == "" {
		return 1, nil
	}
	page, err := number("page", text, 1, MaxPage)
	return int(page), err
}

// EventID reads the id of an event, which need not exist.
func EventID(text string) (int64, error) { return number("event id", text, 1, 1<<53) }

// Slow reads a number of milliseconds to wait.
func Slow(text string) (time.Duration, error) {
	ms, err := number("ms", text, 0, MaxSlow.Milliseconds())
	return time.Duration(ms) * time.Millisecond, err
}

// Search is a question to the catalog.
type Search struct {
	Query    string
	NPlusOne bool // answer it the bad way: one statement per hit
}

// ParseSearch reads a search and its variant, "" or "nplus1".
func ParseSearch(query, variant string) (Search, error) {
	if err := text("q", query); err != nil {
		return Search{}, err
	}
	if variant != "" && variant != "nplus1" {
		return Search{}, errors.New("variant must be nplus1 or left out")
	}
	return Search{Query: query, NPlusOne: variant == "nplus1"}, nil
}

// Checkout is an order as a customer sends it.
type Checkout struct {
	Event    int64  `json:"event"`
	Quantity int32  `json:"quantity"`
	Customer string `json:"customer"`
}

// ParseCheckout reads one JSON object and nothing after it.
func ParseCheckout(body io.Reader) (Checkout, error) {
	var order Checkout
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil {
		return Checkout{}, fmt.Errorf("order is not as expected: %w", err)
	}
	if _, err := decoder.Token(); err == nil {
		return Checkout{}, errors.New("order must be the only thing in the body")
	} else if !errors.Is(err, io.EOF) {
		return Checkout{}, fmt.Errorf("order must be the only thing in the body: %w", err)
	}
	return order, order.Validate()
}

// Validate says what is wrong with the order, if anything.
func (o Checkout) Validate() error {
	if o.Event < 1 {
		return errors.New("event must be an event id from 1")
	}
	if err := Quantity(o.Quantity); err != nil {
		return err
	}
	return text("customer", o.Customer)
}

// Quantity says what is wrong with a number of tickets, if anything.
func Quantity(quantity int32) error {
	if quantity < 1 || quantity > MaxQuantity {
		return fmt.Errorf("quantity must be 1 to %d", MaxQuantity)
	}
	return nil
}

// number reads digits only: no sign, no space, no leading zero.
func number(name, text string, low, high int64) (int64, error) {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || strconv.FormatInt(value, 10) != text || value < low || value > high {
		return 0, fmt.Errorf("%s must be a number from %d to %d", name, low, high)
	}
	return value, nil
}

// text accepts 1 to MaxQuery printable characters.
func text(name, value string) error {
	if length := utf8.RuneCountInString(value); length < 1 || length > MaxQuery || !utf8.ValidString(value) {
		return fmt.Errorf("%s must be 1 to %d characters", name, MaxQuery)
	}
	for _, char := range value {
		if !unicode.IsPrint(char) {
			return fmt.Errorf("%s must be printable", name)
		}
	}
	return nil
}
