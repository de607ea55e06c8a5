package main

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// span is one line of the output. Times are Unix-epoch nanoseconds.
type span struct {
	TraceID    string         `json:"trace_id"`
	SpanID     string         `json:"span_id"`
	ParentID   string         `json:"parent_id"` // "" for a root
	Kind       string         `json:"kind"`
	Name       string         `json:"name"`
	Scope      string         `json:"scope"`
	Service    string         `json:"service"`
	StartNS    uint64         `json:"start_ns"`
	EndNS      uint64         `json:"end_ns"`
	Status     string         `json:"status"`
	Attributes map[string]any `json:"attributes"`
	ReceivedNS int64          `json:"received_ns"`
}

// spansOf flattens one request. receivedNS is the arrival of its body.
func spansOf(request *collector.ExportTraceServiceRequest, receivedNS int64) []span {
	var spans []span
	for _, resource := range request.GetResourceSpans() {
		service := serviceName(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				spans = append(spans, span{
					TraceID:    hex.EncodeToString(s.GetTraceId()),
					SpanID:     hex.EncodeToString(s.GetSpanId()),
					ParentID:   parentID(s.GetParentSpanId()),
					Kind:       kindName(s.GetKind()),
					Name:       s.GetName(),
					Scope:      scope.GetScope().GetName(),
					Service:    service,
					StartNS:    s.GetStartTimeUnixNano(),
					EndNS:      s.GetEndTimeUnixNano(),
					Status:     statusName(s.GetStatus().GetCode()),
					Attributes: attributesOf(s.GetAttributes()),
					ReceivedNS: receivedNS,
				})
			}
		}
	}
	return spans
}

func serviceName(attributes []*common.KeyValue) string {
	for _, attribute := range attributes {
		if attribute.GetKey() == "service.name" {
			return attribute.GetValue().GetStringValue()
		}
	}
	return ""
}

// parentID is "" for a root, also where an exporter writes the root's parent as eight zero bytes.
func parentID(id []byte) string {
	for _, b := range id {
		if b != 0 {
			return hex.EncodeToString(id)
		}
	}
	return ""
}

// kindName takes an unspecified kind for internal, as the protocol asks of receivers.
func kindName(kind trace.Span_SpanKind) string {
	switch kind {
	case trace.Span_SPAN_KIND_SERVER:
		return "server"
	case trace.Span_SPAN_KIND_CLIENT:
		return "client"
	case trace.Span_SPAN_KIND_PRODUCER:
		return "producer"
	case trace.Span_SPAN_KIND_CONSUMER:
		return "consumer"
	}
	return "internal"
}

func statusName(code trace.Status_StatusCode) string {
	switch code {
	case trace.Status_STATUS_CODE_OK:
		return "ok"
	case trace.Status_STATUS_CODE_ERROR:
		return "error"
	}
	return "unset"
}

func attributesOf(in []*common.KeyValue) map[string]any {
	out := make(map[string]any, len(in))
	for _, attribute := range in {
		out[attribute.GetKey()] = valueOf(attribute.GetValue())
	}
	return out
}

// valueOf maps an attribute to JSON: integers stay integers, bytes become base64, and numbers that
// JSON does not have become their names.
func valueOf(value *common.AnyValue) any {
	switch v := value.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
		}
		return v.DoubleValue
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_ArrayValue:
		list := make([]any, 0, len(v.ArrayValue.GetValues()))
		for _, item := range v.ArrayValue.GetValues() {
			list = append(list, valueOf(item))
		}
		return list
	case *common.AnyValue_KvlistValue:
		return attributesOf(v.KvlistValue.GetValues())
	}
	return nil
}
