module lab.example/init

go 1.26.1
