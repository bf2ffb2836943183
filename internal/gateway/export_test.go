package gateway

import "github.com/s3mirror/s3mirror/internal/s3"

// Within tells whether another face can have the operation done.
func Within(name s3.OperationName) bool {
	_, ok := within[name]
	return ok
}
