"""One file per verb: parse, call one flow, return an exit code. The only error boundary."""
