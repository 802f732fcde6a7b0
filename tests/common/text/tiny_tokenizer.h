// A hand-made tokenizer.json for tests: all 256 bytes (id = byte), a few merges, a few added
// tokens.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/check.h"
#include "common/text/tokenizer.h"

namespace regatta {

// The character that stands for `byte` in the byte-level alphabet, written independently of the
// code under test.
inline std::string ByteCharacter(int byte) {
  int code_point = byte;
  if (byte <= 0x20) code_point = 0x100 + byte;
  if (byte >= 0x7F && byte <= 0xA0) code_point = 0x121 + byte - 0x7F;
  if (byte == 0xAD) code_point = 0x143;
  if (code_point < 0x80) return std::string(1, static_cast<char>(code_point));
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

inline nlohmann::json TinyAddedToken(int id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},   {"special", special},    {"lstrip", false},
          {"rstrip", false}, {"single_word", false}, {"normalized", !special}};
}

// Ids: bytes 0-255, "he" 256, "ll" 257, "hell" 258, "hello" 259, " w" 260, "<|bos|>" 300, "<|eos|>"
// 301, "<tool>" 302.
inline nlohmann::json TinyTokenizerJson() {
  nlohmann::json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[ByteCharacter(byte)] = byte;
  int next = 256;
  for (const char* token : {"he", "ll", "hell", "hello", "Ġw"}) vocab[token] = next++;
  return {
      {"version", "1.0"},
      {"added_tokens",
       {TinyAddedToken(300, "<|bos|>", true), TinyAddedToken(301, "<|eos|>", true),
        TinyAddedToken(302, "<tool>", false)}},
      {"normalizer", nullptr},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single",
         {{{"SpecialToken", {{"id", "<|bos|>"}, {"type_id", 0}}}},
          {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"special_tokens", {{"<|bos|>", {{"id", "<|bos|>"}, {"ids", {300}}}}}}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model",
       {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"h e", "l l", "he ll", "hell o", "Ġ w"}}}}};
}

inline std::unique_ptr<Tokenizer> LoadTiny(const nlohmann::json& json = TinyTokenizerJson()) {
  auto tokenizer = Tokenizer::FromJson(json.dump());
  CHECK(tokenizer.ok()) << tokenizer.status();
  return *std::move(tokenizer);
}

}  // namespace regatta
