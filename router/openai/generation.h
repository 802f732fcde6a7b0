// Generation: one API request on its way through the cluster, all its choices. The cluster's
// threads only queue here; what clients read is written on the thread of their connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "router/frontend.h"
#include "router/http/exchange.h"
#include "router/openai/context.h"
#include "router/openai/response_writer.h"

namespace regatta {

class Generation final : public DeltaStream, public std::enable_shared_from_this<Generation> {
 public:
  // Submits all choices and answers `exchange`: with an HTTP status while no event has been sent,
  // with an error event afterwards. One choice that fails ends all. A client that goes away, or
  // reads too slowly, cancels all.
  static void Start(std::shared_ptr<const OpenAiContext> context,
                    std::shared_ptr<Exchange> exchange, PreparedRequest request);

  Generation(std::shared_ptr<const OpenAiContext> context, std::shared_ptr<Exchange> exchange,
             PreparedRequest request);

  void Push(uint64_t tag, TokenDelta delta) override;
  void Fail(uint64_t tag, const absl::Status& status) override;
  void Flush() override;

  // Deltas that may wait for the connection's thread, per choice: many seconds of it.
  static constexpr size_t kMaxPendingPerChoice = 1024;

 private:
  struct Item {
    uint32_t index;
    std::variant<TokenDelta, absl::Status> news;
  };

  void Submit();
  void Gone();
  // Ends without an answer from here on; what still runs is cancelled.
  void Stop();
  void CancelAll();
  // On the connection's thread.
  void Drain();
  bool Take(const Item& item);
  void Send(Exchange& exchange);
  void Complete(Exchange& exchange);
  void Break(const absl::Status& failure);

  const std::shared_ptr<const OpenAiContext> context_;
  const bool stream_;
  const size_t num_choices_;

  // Of the connection's thread, but for choices, which Submit reads.
  PreparedRequest request_;
  size_t ended_ = 0;
  bool started_ = false;  // events have been sent
  std::string out_;

  absl::Mutex mutex_;
  std::shared_ptr<Exchange> exchange_ ABSL_GUARDED_BY(mutex_);  // null once over
  std::vector<uint64_t> ids_ ABSL_GUARDED_BY(mutex_);
  std::vector<Item> pending_ ABSL_GUARDED_BY(mutex_);
  bool posted_ ABSL_GUARDED_BY(mutex_) = false;  // a Drain is on its way
  bool overrun_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace regatta
