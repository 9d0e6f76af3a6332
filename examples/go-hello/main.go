// A function in Go with no dependencies: it speaks the Runtime API itself. With github.com/aws/aws-lambda-go the loop
// below is lambda.Start(handler).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
)

type event struct {
	Name string `json:"name"`
}

type answer struct {
	Hello    string `json:"hello"`
	Function string `json:"function"`
}

func handler(e event) (answer, error) {
	if e.Name == "" {
		return answer{}, fmt.Errorf("nobody to greet")
	}
	fmt.Println("greeting", e.Name)
	return answer{Hello: e.Name, Function: os.Getenv("AWS_LAMBDA_FUNCTION_NAME")}, nil
}

func main() {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(base + "next")
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(next.Body)
		next.Body.Close()
		if err != nil {
			log.Fatal(err)
		}
		where, what := run(body)
		id := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		sent, err := http.Post(base+id+where, "application/json", bytes.NewReader(what))
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(io.Discard, sent.Body)
		sent.Body.Close()
	}
}

// Where the answer goes, and the answer.
func run(body []byte) (string, []byte) {
	var e event
	err := json.Unmarshal(body, &e)
	var result answer
	if err == nil {
		result, err = handler(e)
	}
	if err != nil {
		failure, _ := json.Marshal(map[string]string{"errorMessage": err.Error(), "errorType": "errorString"})
		return "/error", failure
	}
	good, _ := json.Marshal(result)
	return "/response", good
}
