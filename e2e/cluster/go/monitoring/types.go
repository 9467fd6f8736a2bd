//go:build never

// Keeps the module in go.mod whose types controller-gen reads (e2e/lib/monitoring.py).
package monitoring

import _ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
