// Evaluates PromQL and alerts with Prometheus' own engine over a few given samples: JSON in, JSON out.
//
//	In:  {"series": [{"labels": {"__name__": "up"}, "samples": [[seconds, value], ...]}],
//	      "queries": [{"expr": "up", "start": seconds, "end": seconds, "step": seconds}],
//	      "rules": {"text": the text of a file of rules, "start": seconds, "end": seconds, "step": seconds}}
//	Out: {"queries": for each [{"labels": {...}, "points": [["seconds", "value"], ...]}, ...],
//	      "firing": [{"at": seconds, "labels": {...}, "annotations": {...}}, ...]}
//
// A value that is null says that the series is gone from then on, as when its target does not answer (a staleness marker).
// A query or a rule that is wrong ends the program with what is wrong.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

type input struct {
	Series []struct {
		Labels  map[string]string
		Samples [][2]*float64
	}
	Queries []struct {
		Expr             string
		Start, End, Step float64
	}
	Rules *ruleFile
}

type output struct {
	Queries [][]line `json:"queries"`
	Firing  []firing `json:"firing"`
}

// A line is one series of an answer: its values are texts, as JSON knows neither NaN nor infinity.
type line struct {
	Labels map[string]string `json:"labels"`
	Points [][2]string       `json:"points"`
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
			one := sample{int64(*pair[0] * 1000), math.Float64frombits(value.StaleNaN)}
			if pair[1] != nil {
				one.v = *pair[1]
			}
			samples = append(samples, one)
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

func seconds(at float64) time.Time { return time.UnixMilli(int64(at * 1000)) }

func number(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }

func asked(engine *promql.Engine, from storage.Queryable, expr string, start, end, step float64) ([]line, error) {
	query, err := engine.NewRangeQuery(context.Background(), from, nil, expr, seconds(start), seconds(end), seconds(step).Sub(seconds(0)))
	if err != nil {
		return nil, err
	}
	matrix, err := query.Exec(context.Background()).Matrix()
	if err != nil {
		return nil, err
	}
	lines := []line{}
	for _, series := range matrix {
		one := line{Labels: series.Metric.Map()}
		for _, point := range series.Floats {
			one.Points = append(one.Points, [2]string{number(float64(point.T) / 1000), number(point.F)})
		}
		lines = append(lines, one)
	}
	return lines, nil
}

func run() error {
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		return err
	}
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})
	from := stored(given)
	answer := output{Queries: [][]line{}, Firing: []firing{}}
	for _, it := range given.Queries {
		lines, err := asked(engine, from, it.Expr, it.Start, it.End, it.Step)
		if err != nil {
			return fmt.Errorf("%s: %w", it.Expr, err)
		}
		answer.Queries = append(answer.Queries, lines)
	}
	if given.Rules != nil {
		var err error
		if answer.Firing, err = evaluated(engine, from, *given.Rules); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
