// Steps between launch and collection: room, order, the device's progress, and every way a wait
// ends.
#include "worker/step_flights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/time/clock.h"

namespace regatta {
namespace {

using ::testing::HasSubstr;

// Passes when told to.
class ManualMarker final : public Marker {
 public:
  explicit ManualMarker(std::atomic<bool>& passed) : passed_(passed) {}
  bool Passed(std::string* error) override {
    if (passed_ && !fault.empty()) *error = fault;
    return passed_;
  }
  std::string fault;

 private:
  std::atomic<bool>& passed_;
};

class StepFlightsTest : public ::testing::Test {
 protected:
  StepFlightsTest() {
    std::vector<StepFlight> flights(2);
    for (StepFlight& flight : flights) {
      auto marker = std::make_unique<ManualMarker>(passed_);
      markers_.push_back(marker.get());
      flight.marker = std::move(marker);
    }
    flights_ = std::make_unique<StepFlights>(std::move(flights));
  }
  void Launch(uint64_t step) {
    const auto flight = flights_->Take();
    ASSERT_TRUE(flight.ok()) << flight.status();
    (*flight)->step_id = step;
    flights_->Launched();
  }
  absl::StatusOr<StepFlight*> Oldest() {
    return flights_->Oldest(
        [this] { return broken_ ? absl::UnavailableError("rank 3 is gone") : absl::OkStatus(); });
  }

  std::atomic<bool> passed_ = false, broken_ = false;
  std::vector<ManualMarker*> markers_;
  std::unique_ptr<StepFlights> flights_;
};

TEST_F(StepFlightsTest, StepsAreCollectedInOrderOnceTheDeviceHasPassedThem) {
  EXPECT_TRUE(flights_->none_under_way());
  Launch(1);
  Launch(2);
  std::thread device([this] {
    absl::SleepFor(absl::Milliseconds(20));
    passed_ = true;
  });
  EXPECT_EQ((*Oldest())->step_id, 1u);
  EXPECT_TRUE(passed_);
  flights_->Collected();
  Launch(3);  // in the place of step 1
  EXPECT_EQ((*Oldest())->step_id, 2u);
  flights_->Collected();
  EXPECT_EQ((*Oldest())->step_id, 3u);
  EXPECT_FALSE(flights_->none_under_way());
  flights_->Collected();
  EXPECT_TRUE(flights_->none_under_way());
  device.join();
}

TEST_F(StepFlightsTest, ALaunchWaitsForRoom) {
  Launch(1);
  Launch(2);
  passed_ = true;
  std::atomic<bool> third = false;
  std::thread launcher([&] {
    Launch(3);
    third = true;
  });
  absl::SleepFor(absl::Milliseconds(20));
  EXPECT_FALSE(third);
  ASSERT_TRUE(Oldest().ok());
  flights_->Collected();
  launcher.join();
}

TEST_F(StepFlightsTest, AbortEndsBothWaits) {
  Launch(1);
  Launch(2);
  std::thread aborter([this] {
    absl::SleepFor(absl::Milliseconds(20));
    flights_->Abort("told to end");
  });
  EXPECT_THAT(Oldest().status().ToString(), HasSubstr("told to end"));
  EXPECT_THAT(flights_->Take().status().ToString(), HasSubstr("told to end"));
  aborter.join();
}

TEST_F(StepFlightsTest, ALostPeerEndsTheWait) {
  Launch(1);
  broken_ = true;
  EXPECT_EQ(Oldest().status().message(), "rank 3 is gone");
}

TEST_F(StepFlightsTest, ADeviceFaultNamesTheStep) {
  Launch(7);
  markers_[0]->fault = "an illegal memory access";
  passed_ = true;
  EXPECT_EQ(Oldest().status().message(), "device fault in step 7: an illegal memory access");
}

}  // namespace
}  // namespace regatta
