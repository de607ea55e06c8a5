package main

const sysFinitModule = 313 // finit_module(2); package syscall predates it
