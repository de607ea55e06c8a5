package main

// Regenerate after a change of proto/: needs protoc 25 or newer (Debian's
// protobuf-compiler, or `python -m grpc_tools.protoc`), protoc-gen-go v1.36.11
// and protoc-gen-go-grpc v1.6.0 on the path.
//
//go:generate protoc -I proto --go_out=. --go_opt=module=shop.example/shop --go-grpc_out=. --go-grpc_opt=module=shop.example/shop pricing.proto orders.proto
