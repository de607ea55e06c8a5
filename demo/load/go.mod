module lab.example/load

go 1.26.1

require golang.org/x/sys v0.41.0
