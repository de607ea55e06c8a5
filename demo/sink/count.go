package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxSpans bounds what one post may grow to in memory: an empty span is two bytes on the wire and
// hundreds once decoded. Exporters send some hundreds at once.
const maxSpans = 100_000

// checkSize counts the spans of a protobuf request without decoding them.
func checkSize(body []byte) error {
	count, err := countNested(body, 1, 2, 2) // resource_spans, scope_spans, spans
	if err != nil {
		return err
	}
	if count > maxSpans {
		return fmt.Errorf("%w: %d spans in one post, at most %d", errTooLarge, count, maxSpans)
	}
	return nil
}

// countNested counts the fields reached by following path, one field number a level.
func countNested(message []byte, path ...protowire.Number) (int, error) {
	total := 0
	for len(message) > 0 {
		number, kind, length := protowire.ConsumeTag(message)
		if length < 0 {
			return 0, fmt.Errorf("protobuf: %w", protowire.ParseError(length))
		}
		message = message[length:]
		size := protowire.ConsumeFieldValue(number, kind, message)
		if size < 0 {
			return 0, fmt.Errorf("protobuf: %w", protowire.ParseError(size))
		}
		if number == path[0] && kind == protowire.BytesType {
			nested := 1
			if len(path) > 1 {
				inner, _ := protowire.ConsumeBytes(message)
				var err error
				if nested, err = countNested(inner, path[1:]...); err != nil {
					return 0, err
				}
			}
			total += nested
		}
		message = message[size:]
	}
	return total, nil
}
