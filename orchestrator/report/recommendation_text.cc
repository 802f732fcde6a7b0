// Words and rows; see recommendation_text.h.
#include "orchestrator/report/recommendation_text.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "orchestrator/statistics/missed_condition.h"

namespace regatta {
namespace {

constexpr char kRow[] = "%-22s %6s %11s %11s %9s %10s %10s %9s %15s";

std::string Header() {
  return absl::StrFormat(kRow, "", "users", "tok/s/GPU", "tok/s/user", "p5", "TTFT", "TTFT p95",
                         "TPOT", "running (all)") +
         "\n";
}

double RanAtOnce(const LoadFigures& figures) {
  return figures.offered_running() > 0 ? figures.offered_running() : figures.mean_running();
}

// While all users were there and, in brackets, with ramp and drain.
std::string Running(const LoadFigures& figures) {
  if (figures.mean_running() <= 0) return "-";
  if (figures.offered_running() <= 0) return absl::StrFormat("%.1f", figures.mean_running());
  return absl::StrFormat("%.1f (%.1f)", figures.offered_running(), figures.mean_running());
}

std::string Row(const std::string& name, const LoadFigures& figures) {
  const auto number = [](double value, int decimals, const char* unit = "") {
    return absl::StrFormat("%.*f%s", decimals, value, unit);
  };
  std::string row = absl::StrFormat(
      kRow, name, absl::StrCat(figures.concurrency()),
      number(figures.output_throughput_per_gpu_tok_s(), 1), number(figures.user_speed_tok_s(), 2),
      number(figures.p5_user_speed_tok_s(), 2), number(figures.avg_ttft_ms(), 1, " ms"),
      number(figures.p95_ttft_ms(), 1, " ms"), number(figures.avg_tpot_ms(), 2, " ms"),
      Running(figures));
  if (!figures.missed().empty()) absl::StrAppend(&row, "  ", figures.missed());
  return row + "\n";
}

std::string Change(double before, double after) {
  return before > 0 ? absl::StrFormat("%+.1f %%", (after / before - 1) * 100) : "-";
}

std::string Difference(const LoadFigures& a, const LoadFigures& b) {
  return absl::StrFormat(
             kRow, "  difference", "",
             Change(a.output_throughput_per_gpu_tok_s(), b.output_throughput_per_gpu_tok_s()),
             Change(a.user_speed_tok_s(), b.user_speed_tok_s()),
             Change(a.p5_user_speed_tok_s(), b.p5_user_speed_tok_s()),
             Change(a.avg_ttft_ms(), b.avg_ttft_ms()), Change(a.p95_ttft_ms(), b.p95_ttft_ms()),
             Change(a.avg_tpot_ms(), b.avg_tpot_ms()), Change(RanAtOnce(a), RanAtOnce(b))) +
         "\n";
}

std::string Runs(const char* name, const LoadFigures& figures) {
  return absl::StrFormat("%s (%d %s)", name, figures.runs(), figures.runs() == 1 ? "run" : "runs");
}

std::string Overload(const char* prefix, const LoadFigures& base, const LoadFigures& figures) {
  return Row(absl::StrFormat("%s%.3g x", prefix, 1.0 * figures.concurrency() / base.concurrency()),
             figures);
}

std::string Table(const Recommendation& recommendation) {
  std::string text = Header() + Row("predicted", recommendation.predicted());
  if (!recommendation.has_confirmed()) return text;
  const LoadFigures& confirmed = recommendation.confirmed();
  absl::StrAppend(&text, Row(Runs("confirmed", confirmed), confirmed),
                  Difference(recommendation.predicted(), confirmed));
  for (const LoadFigures& figures : recommendation.overload()) {
    text += Overload("", confirmed, figures);
  }
  if (!recommendation.has_applied() || !recommendation.applied().has_tuned()) return text;
  const AppliedLimits& applied = recommendation.applied();
  absl::StrAppend(&text, Row(Runs("tuned", applied.tuned()), applied.tuned()),
                  Difference(confirmed, applied.tuned()));
  for (const LoadFigures& figures : applied.overload()) {
    text += Overload("tuned, ", confirmed, figures);
  }
  return text;
}

std::string Refuted(const Recommendation& recommendation) {
  std::string text;
  for (const LoadFigures& refuted : recommendation.refuted()) {
    const uint32_t users = refuted.concurrency();
    absl::StrAppendFormat(&text, "%d %s, as the search had it, %s not confirmed: %s\n", users,
                          users == 1 ? "user" : "users", users == 1 ? "was" : "were",
                          refuted.missed());
  }
  return text;
}

// Whether a load larger than `above` and smaller than `below` was searched.
bool AnySearched(const SearchReport& search, uint32_t above,
                 uint32_t below = std::numeric_limits<uint32_t>::max()) {
  return std::any_of(search.loads().begin(), search.loads().end(), [&](const SearchedLoad& load) {
    return load.concurrency() > above && load.concurrency() < below;
  });
}

// Why no more users are recommended.
std::string MoreUsers(const Recommendation& recommendation, const SearchReport& search) {
  if (!recommendation.limited_by().empty()) {
    return absl::StrCat("More users: ", recommendation.limited_by(), "\n");
  }
  if (AnySearched(search, recommendation.concurrency()) || search.loads().empty()) return "";
  return "More users were not searched for: raise --max-concurrency (and --max-points).\n";
}

// Overloads that hold the goal: where a bound wavers, one above a load that misses it may.
std::string HeldToo(const Recommendation& recommendation, const SearchReport& search) {
  std::string text;
  if (recommendation.goal() == "throughput") return text;  // it asks for the fewest users
  const auto refuted = [&](uint32_t users) {
    return std::any_of(recommendation.refuted().begin(), recommendation.refuted().end(),
                       [=](const LoadFigures& load) { return load.concurrency() == users; });
  };
  for (const LoadFigures& overload : recommendation.overload()) {
    if (!overload.missed().empty() || refuted(overload.concurrency())) continue;
    // What was searched between, the search or fresh prompts saw miss the goal.
    const bool wavers = AnySearched(search, recommendation.concurrency(), overload.concurrency());
    absl::StrAppendFormat(&text, "%d users held the goal too, in one run: %smore may fit.\n",
                          overload.concurrency(), wavers ? "the bound wavers, " : "");
  }
  return text;
}

// Against what the fewest users missed, with fresh prompts where the search had found a load.
std::string Advice(const Recommendation& recommendation) {
  if (recommendation.refuted().empty()) return AdviceOn(recommendation.limited_by_condition(), 1);
  const LoadFigures& refuted = *recommendation.refuted().rbegin();
  return AdviceOn(refuted.missed_condition(), refuted.concurrency());
}

std::string Answer(const Recommendation& recommendation, const SearchReport& search) {
  if (recommendation.concurrency() == 0) {
    const std::string advice = Advice(recommendation);
    return absl::StrCat("No load meets it: ", recommendation.limited_by(), "\n",
                        Refuted(recommendation), advice, advice.empty() ? "" : "\n");
  }
  const LoadFigures& best =
      recommendation.has_confirmed() ? recommendation.confirmed() : recommendation.predicted();
  std::string text = absl::StrFormat(
      "Serve %d %s at once: %.1f tok/s each (the slowest twentieth gets %.1f), 95 %% of first "
      "tokens within %.0f ms, %.1f tok/s per GPU.\n",
      recommendation.concurrency(), recommendation.concurrency() == 1 ? "user" : "users",
      best.user_speed_tok_s(), best.p5_user_speed_tok_s(), best.p95_ttft_ms(),
      best.output_throughput_per_gpu_tok_s());
  if (recommendation.has_confirmed()) {
    absl::StrAppendFormat(&text,
                          "Confirmed with fresh prompts: the goal is met in %d of %d runs.\n",
                          best.runs_meeting(), best.runs());
  }
  return absl::StrCat(text, Refuted(recommendation), MoreUsers(recommendation, search),
                      HeldToo(recommendation, search));
}

std::string Tuning(const Recommendation& recommendation) {
  if (!recommendation.has_tuned_limits()) return "";
  const TunedLimits& old = recommendation.measured_limits();
  std::string text = "\nTuned limits, in tuned.yaml";
  if (old.max_batch_size() > 0) {
    absl::StrAppendFormat(&text, " (measured with max_batch_size %d, max_num_tokens %d)",
                          old.max_batch_size(), old.max_num_tokens());
  }
  text += ":\n";
  for (const std::string& reason : recommendation.tuned_limits().reasons()) {
    absl::StrAppend(&text, "  ", reason, "\n");
  }
  if (recommendation.has_applied()) {
    absl::StrAppend(&text, recommendation.applied().kept() ? "Applied: " : "NOT applied: ",
                    recommendation.applied().verdict(), "\n");
  }
  return text;
}

std::string SearchLines(const SearchReport& search) {
  std::string text = absl::StrFormat("Search: %d %s", search.loads_size(),
                                     search.loads_size() == 1 ? "load" : "loads");
  if (search.knee() > 0) {
    absl::StrAppendFormat(&text, "; %d users are the fewest with 98 %% of the best throughput",
                          search.knee());
  }
  return absl::StrCat(text, search.ended().empty() ? "; not ended" : "; " + search.ended(), ".\n");
}

}  // namespace

std::string RecommendationText(const SweepReport& sweep) {
  if (!sweep.has_recommendation()) {
    return sweep.has_search() ? "\n" + SearchLines(sweep.search()) : "";
  }
  const Recommendation& recommendation = sweep.recommendation();
  std::string text = absl::StrCat("\nRECOMMENDATION  ", recommendation.question(), "\n",
                                  Answer(recommendation, sweep.search()));
  if (sweep.has_search()) text += SearchLines(sweep.search());
  if (recommendation.has_predicted()) absl::StrAppend(&text, "\n", Table(recommendation));
  text += Tuning(recommendation);
  if (recommendation.drift().empty()) return text;
  return absl::StrCat(text, "! ", recommendation.drift(), "\n");
}

}  // namespace regatta
