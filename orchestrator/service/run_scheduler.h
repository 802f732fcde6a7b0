// Runs what the book says may run: starts, follows, ends and settles the processes of the runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "orchestrator/service/run_book.h"
#include "orchestrator/service/run_process.h"

namespace regatta {

// Not thread-safe: one thread calls it, that lives as long as the program (child_process.h).
class RunScheduler {
 public:
  // `book` must outlive it.
  RunScheduler(RunBook& book, const RunProcessOptions& options) : book_(book), options_(options) {}

  // Does what is due and returns at once; to be called several times a second.
  void Tick();
  // Ends all processes, at the latest after their grace. Their runs stay RUNNING, for the service's
  // next life to go on with.
  void StopAll();

 private:
  struct Active {
    RunSummary run;
    std::unique_ptr<RunProcess> process;
    bool stopped = false;  // asked to end
  };
  struct Deaths {
    uint32_t count = 0;
    absl::Time pause_ends;
  };

  void StartWhatMay();
  void Start(RunSummary run);
  void Fail(RunSummary run, const std::string& error);
  void Follow(Active& active);
  void Settle(const Active& active, const std::string& ended);
  // Counts that death of a run's process; false when there have been too many to go on.
  bool GoesOn(const Active& active, const std::string& ended);

  RunBook& book_;
  const RunProcessOptions options_;
  std::map<std::string, Active> active_;          // by id
  std::map<std::string, absl::Time> held_since_;  // runs whose directory is still held, by id
  std::map<std::string, Deaths> deaths_;          // of runs' processes in this life, by id
};

}  // namespace regatta
