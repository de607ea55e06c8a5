"""One Go service, instrumented at compile time and by eBPF, on a real Linux, with numbers that say what they show."""

__version__ = "0.1.0"
