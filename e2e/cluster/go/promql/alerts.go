package main

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

type ruleFile struct {
	Text             string
	Start, End, Step float64
}

// Firing says that an alert fires at a time, with its texts filled in.
type firing struct {
	At          float64           `json:"at"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func alerting(text string) ([]*rules.AlertingRule, error) {
	groups, wrong := rulefmt.Parse([]byte(text), false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	var found []*rules.AlertingRule
	for _, group := range groups.Groups {
		for _, it := range group.Rules {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(it.Expr)
			if err != nil {
				return nil, err
			}
			found = append(found, rules.NewAlertingRule(
				it.Alert, expr, time.Duration(it.For), time.Duration(it.KeepFiringFor),
				labels.FromMap(it.Labels), labels.FromMap(it.Annotations), labels.EmptyLabels(), "", true, promslog.NewNopLogger(),
			))
		}
	}
	return found, nil
}

// Evaluates the rules one step after the other, as Prometheus does, and tells what fires at each.
func evaluated(engine *promql.Engine, from storage.Queryable, file ruleFile) ([]firing, error) {
	all, err := alerting(file.Text)
	if err != nil {
		return nil, err
	}
	found := []firing{}
	for at := file.Start; at <= file.End; at += file.Step {
		for _, rule := range all {
			if _, err := rule.Eval(context.Background(), 0, seconds(at), rules.EngineQueryFunc(engine, from), &url.URL{}, 0); err != nil {
				return nil, err
			}
			for _, alert := range rule.ActiveAlerts() {
				if alert.State == rules.StateFiring {
					found = append(found, firing{at, alert.Labels.Map(), alert.Annotations.Map()})
				}
			}
		}
	}
	return found, nil
}
