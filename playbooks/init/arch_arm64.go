package main

const sysFinitModule = 273 // finit_module(2); package syscall predates it
