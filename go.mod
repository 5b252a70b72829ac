module github.com/hone-ml/hone

go 1.26
