package webhooks

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics count what a deliverer does.
type metrics struct {
	inFlight   prometheus.Gauge
	attempts   *prometheus.CounterVec
	duration   prometheus.Histogram
	unrecorded *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	factory := promauto.With(registerer)
	return &metrics{
		inFlight: factory.NewGauge(prometheus.GaugeOpts{
			Name: "cardea_webhook_attempts_in_flight",
			Help: "Attempts that this process is making.",
		}),
		attempts: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_webhook_attempts_total",
			Help: "Attempts made, by what came of them: ok or an error class.",
		}, []string{"result"}),
		duration: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "cardea_webhook_attempt_seconds",
			Help:    "Time from look-up to the end of the answer.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}),
		unrecorded: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "cardea_webhook_attempts_unrecorded_total",
			Help: "Attempts made but not recorded, so they will be repeated: lease_lost or error.",
		}, []string{"cause"}),
	}
}

func (m *metrics) observe(o outcome, err error) {
	result := string(o.class)
	if result == "" {
		result = "ok"
	}
	m.attempts.WithLabelValues(result).Inc()
	m.duration.Observe(o.took.Seconds())
	if errors.Is(err, errLeaseLost) {
		m.unrecorded.WithLabelValues("lease_lost").Inc()
	} else if err != nil {
		m.unrecorded.WithLabelValues("error").Inc()
	}
}

// report counts an attempt and writes its one line; err is why it could not be recorded. The URL
// stays out of it, for it may hold a secret.
func (d *deliverer) report(
	ctx context.Context, c delivery, o outcome, v verdict, err error,
) {
	d.metrics.observe(o, err)
	level := slog.LevelInfo
	fields := []slog.Attr{
		slog.Any("organization", c.organization), slog.Any("endpoint", c.endpoint),
		slog.Any("delivery", c.id), slog.Any("event", c.event), slog.Int("attempt", c.attempts+1),
		slog.Int("status", o.status), slog.String("class", string(o.class)),
		slog.Duration("took", o.took),
	}
	if !v.retryAt.IsZero() {
		fields = append(fields, slog.Time("retry_at", v.retryAt))
	}
	if err != nil {
		level, fields = slog.LevelWarn, append(fields, slog.Any("error", err))
	}
	d.log.LogAttrs(ctx, level, "webhook attempt", fields...)
}
