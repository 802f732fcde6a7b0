// What people read of a search and its recommendation.
#include "orchestrator/report/recommendation_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

LoadFigures Figures(uint32_t users, double speed, uint32_t runs, const std::string& missed = "") {
  LoadFigures figures;
  figures.set_concurrency(users);
  figures.set_runs(runs);
  figures.set_runs_meeting(missed.empty() ? runs : 0);
  figures.set_output_throughput_per_gpu_tok_s(users * speed);
  figures.set_user_speed_tok_s(speed);
  figures.set_p5_user_speed_tok_s(speed - 1);
  figures.set_p95_ttft_ms(120);
  figures.set_missed(missed);
  return figures;
}

SweepReport Recommended() {
  SweepReport sweep;
  sweep.mutable_search()->add_loads()->set_concurrency(1);
  sweep.mutable_search()->set_ended("128 and 256 users miss the goal");
  Recommendation& recommendation = *sweep.mutable_recommendation();
  recommendation.set_question("most users with at least 50 tok/s each");
  recommendation.set_concurrency(100);
  sweep.mutable_search()->add_loads()->set_concurrency(104);
  recommendation.set_limited_by("c=104: p5 speed 49.0 tok/s, below 50");
  *recommendation.mutable_predicted() = Figures(100, 52, 1);
  *recommendation.mutable_confirmed() = Figures(100, 53.04, 5);
  *recommendation.add_overload() = Figures(125, 44, 1, "mean speed 44.0 tok/s, below 50");
  *recommendation.add_overload() = Figures(200, 33, 1, "mean speed 33.0 tok/s, below 50");
  return sweep;
}

TEST(RecommendationTextTest, AnswersInWordsAndHoldsThePredictionAgainstWhatWasConfirmed) {
  const std::string text = RecommendationText(Recommended());
  EXPECT_THAT(text, HasSubstr("RECOMMENDATION  most users with at least 50 tok/s each\n"
                              "Serve 100 users at once: 53.0 tok/s each (the slowest twentieth "
                              "gets 52.0), 95 % of first tokens within 120 ms, 5304.0 tok/s per "
                              "GPU.\n"
                              "Confirmed with fresh prompts: the goal is met in 5 of 5 runs.\n"
                              "More users: c=104: p5 speed 49.0 tok/s, below 50\n"));
  EXPECT_THAT(text, AllOf(HasSubstr("confirmed (5 runs)"), HasSubstr("+2.0 %"), HasSubstr("1.25 x"),
                          HasSubstr("2 x"), HasSubstr("  mean speed 33.0 tok/s, below 50\n")));
  EXPECT_THAT(text, HasSubstr("Search: 2 loads; 128 and 256 users miss the goal.\n"));
  EXPECT_THAT(text, Not(HasSubstr("Applied")));
}

TEST(RecommendationTextTest, SaysWhenTheLargestLoadSearchedIsTheAnswer) {
  SweepReport sweep = Recommended();
  sweep.mutable_recommendation()->clear_limited_by();
  sweep.mutable_search()->clear_loads();
  sweep.mutable_search()->add_loads()->set_concurrency(100);
  EXPECT_THAT(RecommendationText(sweep),
              HasSubstr("More users were not searched for: raise --max-c"));
  sweep.mutable_recommendation()->mutable_overload(0)->clear_missed();
  EXPECT_THAT(RecommendationText(sweep),
              HasSubstr("125 users held the goal too, in one run: more may fit."));
  sweep.mutable_search()->add_loads()->set_concurrency(200);  // which is only not better
  EXPECT_THAT(RecommendationText(sweep), Not(HasSubstr("More users")));
}

TEST(RecommendationTextTest, SaysWhichOverloadHeldTheGoalToo) {
  SweepReport sweep = Recommended();
  EXPECT_THAT(RecommendationText(sweep), Not(HasSubstr("held the goal too")));
  sweep.mutable_recommendation()->mutable_overload(1)->clear_missed();
  EXPECT_THAT(RecommendationText(sweep),
              HasSubstr("below 50\n200 users held the goal too, in one run: the bound wavers"));
  sweep.mutable_recommendation()->clear_limited_by();
  EXPECT_THAT(RecommendationText(sweep), HasSubstr("200 users held the goal too"));
  sweep.mutable_search()->mutable_loads(1)->set_concurrency(208);  // nothing in between
  EXPECT_THAT(RecommendationText(sweep),
              HasSubstr("200 users held the goal too, in one run: more"));
  // One run says nothing beside those that refuted it.
  *sweep.mutable_recommendation()->add_refuted() = Figures(200, 49, 5, "mean speed 49.0 tok/s");
  EXPECT_THAT(RecommendationText(sweep), Not(HasSubstr("held the goal too")));
  sweep.mutable_recommendation()->clear_refuted();
  // The smallest load with nearly the best throughput is asked for, not the largest.
  sweep.mutable_recommendation()->set_goal("throughput");
  EXPECT_THAT(RecommendationText(sweep), Not(HasSubstr("held the goal too")));
}

TEST(RecommendationTextTest, TellsTheTunedLimitsAndWhatBecameOfThem) {
  SweepReport sweep = Recommended();
  Recommendation& recommendation = *sweep.mutable_recommendation();
  recommendation.mutable_confirmed()->set_mean_running(90);
  recommendation.mutable_confirmed()->set_offered_running(99);
  recommendation.mutable_measured_limits()->set_max_batch_size(3840);
  recommendation.mutable_measured_limits()->set_max_num_tokens(7680);
  recommendation.mutable_tuned_limits()->add_reasons("max_batch_size 100: all run");
  AppliedLimits& applied = *recommendation.mutable_applied();
  *applied.mutable_tuned() = Figures(100, 50.388, 5);
  *applied.add_overload() = Figures(125, 50, 1);
  applied.set_verdict("p95 TTFT rose; the limits of before were put back");
  const std::string text = RecommendationText(sweep);
  EXPECT_THAT(text,
              AllOf(HasSubstr("tuned (5 runs)"), HasSubstr("-5.0 %"), HasSubstr("tuned, 1.25 x")));
  EXPECT_THAT(text, HasSubstr("99.0 (90.0)\n")) << "with ramp and drain in brackets";
  EXPECT_THAT(text, HasSubstr("Tuned limits, in tuned.yaml (measured with max_batch_size 3840, "
                              "max_num_tokens 7680):\n  max_batch_size 100: all run\n"
                              "NOT applied: p95 TTFT rose; the limits of before were put back\n"));
}

TEST(RecommendationTextTest, SaysWhyNoLoadServesTheGoal) {
  SweepReport sweep;
  sweep.mutable_recommendation()->set_limited_by("c=1: mean speed 9.0 tok/s, below 50");
  LoadFigures& refuted = *sweep.mutable_recommendation()->add_refuted();
  refuted = Figures(4, 49, 5, "mean speed 49.0 tok/s");
  refuted.set_missed_condition(CONDITION_SPEED);
  EXPECT_THAT(RecommendationText(sweep),
              AllOf(HasSubstr("No load meets it: c=1: mean speed 9.0 tok/s, below 50\n"),
                    HasSubstr("4 users, as the search had it, were not confirmed"),
                    HasSubstr("Tokens come too slowly: fewer users, more GPUs for one copy")));
  refuted.set_concurrency(1);
  EXPECT_THAT(RecommendationText(sweep),
              HasSubstr("1 user, as the search had it, was not confirmed: mean speed"));
}

TEST(RecommendationTextTest, AdviceIsOnTheConditionThatWasMissed) {
  const auto advice = [](Condition condition) {
    SweepReport sweep;
    sweep.mutable_recommendation()->set_limited_by("c=1: speed or TTFT");  // words do not matter
    sweep.mutable_recommendation()->set_limited_by_condition(condition);
    return RecommendationText(sweep);
  };
  EXPECT_THAT(advice(CONDITION_SPEED),
              AllOf(HasSubstr("more GPUs"), HasSubstr("lower precision"),
                    HasSubstr("--min-user-speed"), Not(HasSubstr("fewer users"))));
  EXPECT_THAT(advice(CONDITION_TTFT), AllOf(HasSubstr("shorter chunks (--max-num-tokens)"),
                                            HasSubstr("--max-ttft"), Not(HasSubstr("precision"))));
  for (const Condition running : {CONDITION_LENGTH, CONDITION_RUNNING}) {
    EXPECT_THAT(advice(running), AllOf(HasSubstr("longer run"), Not(HasSubstr("--max-batch-size")),
                                       Not(HasSubstr("--min-user-speed"))));
  }
  EXPECT_THAT(advice(CONDITION_FAILURES), HasSubstr("The errors of its requests"));
  // Of results of before it was kept.
  EXPECT_THAT(advice(CONDITION_NONE),
              ::testing::EndsWith("No load meets it: c=1: speed or TTFT\n"));
}

TEST(RecommendationTextTest, AMachineThatDidNotStayTheSameIsTold) {
  SweepReport sweep = Recommended();
  sweep.mutable_recommendation()->set_drift("the machine did not stay the same");
  EXPECT_THAT(RecommendationText(sweep),
              ::testing::EndsWith("\n! the machine did not stay the same\n"));
}

TEST(RecommendationTextTest, OfASearchWithoutGoalTellsItsEndAndOfNoneNothing) {
  SweepReport sweep;
  EXPECT_EQ(RecommendationText(sweep), "");
  sweep.mutable_search()->add_loads();
  sweep.mutable_search()->set_knee(96);
  EXPECT_EQ(RecommendationText(sweep),
            "\nSearch: 1 load; 96 users are the fewest with 98 % of the best throughput; not "
            "ended.\n");
}

}  // namespace
}  // namespace regatta
