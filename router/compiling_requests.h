// CompilingRequests: requests whose constraint is being compiled, before placement takes them.
// Pure; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "router/request.h"

namespace regatta {

class CompilingRequests {
 public:
  void Add(std::unique_ptr<Request> request) {
    const uint64_t id = request->id;
    requests_.emplace(id, std::move(request));
  }
  // Null when the request has gone.
  std::unique_ptr<Request> Take(uint64_t id) {
    auto node = requests_.extract(id);
    return node.empty() ? nullptr : std::move(node.mapped());
  }
  // Those whose queue deadline has passed.
  std::vector<std::unique_ptr<Request>> TakeExpired(int64_t now_ns) {
    std::vector<std::unique_ptr<Request>> expired;
    for (const uint64_t id : Ids()) {
      const int64_t deadline_ns = requests_.at(id)->queue_deadline_ns;
      if (deadline_ns > 0 && deadline_ns <= now_ns) expired.push_back(Take(id));
    }
    return expired;
  }

  std::vector<uint64_t> Ids() const {
    std::vector<uint64_t> ids;
    for (const auto& [id, request] : requests_) ids.push_back(id);
    return ids;
  }
  size_t size() const { return requests_.size(); }

 private:
  std::map<uint64_t, std::unique_ptr<Request>> requests_;
};

}  // namespace regatta
