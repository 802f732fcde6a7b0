// CallObject: one JSON object {"name": ..., "arguments": {...}} read character by character.
#pragma once

#include <string>
#include <string_view>

namespace regatta {

// "parameters" is another word for "arguments", and {"type": "function"} may stand beside them.
// Anything else makes it no call.
class CallObject {
 public:
  enum class Result { kMore, kDone, kNoCall };

  // Takes the next character after the opening brace. After kDone or kNoCall: Reset first.
  Result Take(char c);
  void Reset() { *this = CallObject(); }

  // The tool's name; complete once has_name().
  const std::string& name() const { return name_; }
  bool has_name() const { return has_name_; }
  // Arguments have begun.
  bool has_arguments() const { return has_arguments_; }
  // Moves out what has been read of the arguments since the last call: JSON as it was written.
  std::string TakeArguments();

 private:
  enum class State { kBeforeKey, kKey, kColon, kBeforeValue, kText, kArguments, kAfterValue };

  Result TakeKeyStart(char c);
  Result TakeString(char c);
  Result EndString();
  Result TakeValueStart(char c);
  Result TakeArgument(char c);
  Result TakeValueEnd(char c);

  State state_ = State::kBeforeKey;
  bool escaped_ = false;  // the last character was a backslash within a string
  bool quoted_ = false;   // within a string of the arguments
  size_t depth_ = 0;      // open brackets of the arguments
  std::string key_;
  std::string text_;  // the string being read
  std::string name_;
  bool has_name_ = false;
  bool has_arguments_ = false;
  std::string arguments_;
};

}  // namespace regatta
