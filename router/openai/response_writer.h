// ResponseWriter: deltas of one API request's choices in, the bytes of its answer out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proto/inference.pb.h"
#include "router/openai/schema_place.h"

namespace regatta {

// One thread at a time.
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  // Events that `delta` of choice `index` makes, appended to `out`; nothing in a whole answer.
  virtual void Take(uint32_t index, const TokenDelta& delta, std::string& out) = 0;
  // All choices have ended: last events and [DONE], or the body of a whole answer.
  virtual void End(std::string& out) = 0;
};

// An API request that has been read: what to submit, one request per choice, and how to answer.
struct PreparedRequest {
  std::vector<GenerateRequest> choices;
  bool stream = false;
  std::unique_ptr<ResponseWriter> writer;
  std::vector<SchemaPlace> schema_places = {};  // of the choices' constraint
};

}  // namespace regatta
