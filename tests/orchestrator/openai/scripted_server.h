// ScriptedServer: answers each HTTP request on loopback with the next script, piece by piece.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"

namespace regatta::testing {

struct Script {
  std::vector<std::string> pieces;  // written one by one, a moment apart
  bool close = false;               // the connection, after the last piece
  bool pause = true;                // after each piece
};

// One connection at a time is served; others wait.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<Script> scripts);
  ~ScriptedServer();

  std::string url() const;
  // Head and body of every request so far.
  std::vector<std::string> requests() const;
  int connections() const;

 private:
  void Serve();
  void Talk(int connection);

  std::vector<Script> scripts_;  // of the thread
  int listener_ = -1;
  int port_ = 0;
  mutable absl::Mutex mutex_;
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  int connections_ ABSL_GUARDED_BY(mutex_) = 0;
  int open_ ABSL_GUARDED_BY(mutex_) = -1;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// The head of an answer of that type with a chunked body, and one chunk of it.
std::string ChunkedHead(const std::string& type = "text/event-stream; charset=utf-8");
std::string Chunk(const std::string& bytes);
// A whole answer.
std::string Whole(int status, const std::string& type, const std::string& body);

}  // namespace regatta::testing
