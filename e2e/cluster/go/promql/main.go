// Evaluates PromQL with Prometheus' own engine over a few given samples: JSON in, JSON out.
//
// In: {"series": [{"labels": {"__name__": "up"}, "samples": [[seconds, value], ...]}], "queries": [{"expr": "up", "at": seconds}]}
// Out, for each query: [{"labels": {...}, "value": "1"}, ...]. A query that is wrong ends the program with what is wrong.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type input struct {
	Series []struct {
		Labels  map[string]string
		Samples [][2]float64
	}
	Queries []struct {
		Expr string
		At   float64
	}
}

type element struct {
	Labels map[string]string `json:"labels"`
	Value  string            `json:"value"`
}

type sample struct {
	t int64
	v float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

type set struct {
	series []storage.Series
	at     int
}

func (s *set) Next() bool                        { s.at++; return s.at <= len(s.series) }
func (s *set) At() storage.Series                { return s.series[s.at-1] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

func stored(given input) storage.Queryable {
	var all []storage.Series
	for _, it := range given.Series {
		var samples []chunks.Sample
		for _, pair := range it.Samples {
			samples = append(samples, sample{int64(pair[0] * 1000), pair[1]})
		}
		all = append(all, storage.NewListSeries(labels.FromMap(it.Labels), samples))
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			found := &set{}
			for _, series := range all {
				matches := true
				for _, it := range matchers {
					matches = matches && it.Matches(series.Labels().Get(it.Name))
				}
				if matches {
					found.series = append(found.series, series)
				}
			}
			return found
		},
	}}
}

func run() error {
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	answers := [][]element{}
	for _, it := range given.Queries {
		query, err := engine.NewInstantQuery(context.Background(), stored(given), nil, it.Expr, time.UnixMilli(int64(it.At*1000)))
		if err != nil {
			return fmt.Errorf("%s: %w", it.Expr, err)
		}
		result := query.Exec(context.Background())
		if result.Err != nil {
			return fmt.Errorf("%s: %w", it.Expr, result.Err)
		}
		vector, err := result.Vector()
		if err != nil {
			return fmt.Errorf("%s: %w", it.Expr, err)
		}
		answer := []element{}
		for _, one := range vector {
			answer = append(answer, element{one.Metric.Map(), strconv.FormatFloat(one.F, 'g', -1, 64)})
		}
		answers = append(answers, answer)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
