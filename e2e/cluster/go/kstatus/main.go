// Says what kstatus, the library by which Flux, Helm and others judge objects, makes of each object: JSON in, JSON out.
//
// In: [{"apiVersion": ...}, ...]. Out: [{"status": "Current", "message": "..."}, ...].
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func run() error {
	var given []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	verdicts := []verdict{}
	for _, raw := range given {
		object, err := runtime.Decode(unstructured.UnstructuredJSONScheme, raw)
		if err != nil {
			return err
		}
		result, err := status.Compute(object.(*unstructured.Unstructured))
		if err != nil {
			return err
		}
		verdicts = append(verdicts, verdict{result.Status.String(), result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
