// Lines of samples; see text_format.h.
#include "router/metrics/text_format.h"

#include <charconv>
#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/check.h"

namespace regatta {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kLargestWhole = 1e15;  // Whole numbers up to here are written without exponent.

void AppendNumber(double value, std::string& out) {
  char buffer[32];
  std::to_chars_result end{buffer, {}};
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  if (std::abs(value) <= kLargestWhole && value == std::trunc(value)) {
    end = std::to_chars(buffer, std::end(buffer), static_cast<int64_t>(value));
  } else {
    end = std::to_chars(buffer, std::end(buffer), value);
  }
  out.append(buffer, end.ptr);
}

const char* TypeName(MetricType type) {
  if (type == MetricType::Counter) return "counter";
  if (type == MetricType::Gauge) return "gauge";
  CHECK(type == MetricType::Histogram) << "a type that is not written";
  return "histogram";
}

// name="value",... without braces.
std::string LabelText(const ClientMetric& metric) {
  std::string text;
  for (const ClientMetric::Label& label : metric.label) {
    absl::StrAppend(
        &text, text.empty() ? "" : ",", label.name, "=\"",
        absl::StrReplaceAll(label.value, {{"\\", "\\\\"}, {"\n", "\\n"}, {"\"", "\\\""}}), "\"");
  }
  return text;
}

void AppendSample(const std::string& name, const char* suffix, const std::string& labels,
                  double value, std::string& out) {
  absl::StrAppend(&out, name, suffix);
  if (!labels.empty()) absl::StrAppend(&out, "{", labels, "}");
  out += ' ';
  AppendNumber(value, out);
  out += '\n';
}

void AppendHistogram(const std::string& name, const std::string& labels,
                     const ClientMetric::Histogram& histogram, std::string& out) {
  CHECK(!histogram.bucket.empty() && std::isinf(histogram.bucket.back().upper_bound));
  const std::string start =
      absl::StrCat(name, "_bucket{", labels, labels.empty() ? "" : ",", "le=\"");
  for (const ClientMetric::Bucket& bucket : histogram.bucket) {
    out += start;
    AppendNumber(bucket.upper_bound, out);
    absl::StrAppend(&out, "\"} ", bucket.cumulative_count, "\n");
  }
  AppendSample(name, "_sum", labels, histogram.sample_sum, out);
  AppendSample(name, "_count", labels, static_cast<double>(histogram.sample_count), out);
}

}  // namespace

std::string TextFormat(const std::vector<MetricFamily>& families) {
  std::string out;
  for (const MetricFamily& family : families) {
    absl::StrAppend(&out, "# HELP ", family.name, " ",
                    absl::StrReplaceAll(family.help, {{"\\", "\\\\"}, {"\n", "\\n"}}), "\n# TYPE ",
                    family.name, " ", TypeName(family.type), "\n");
    for (const ClientMetric& metric : family.metric) {
      const std::string labels = LabelText(metric);
      if (family.type == MetricType::Histogram) {
        AppendHistogram(family.name, labels, metric.histogram, out);
      } else {
        const bool counter = family.type == MetricType::Counter;
        AppendSample(family.name, "", labels, counter ? metric.counter.value : metric.gauge.value,
                     out);
      }
    }
  }
  return out;
}

}  // namespace regatta
