// LinearChoices: how each product is to run, found by measurement. Products of about the same
// number of tokens share a choice. A choice holds for one kind of device and one cuBLASLt, and can
// be told to other ranks and later starts.
#pragma once

#include <cublasLt.h>

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace regatta {

// What follows the sums of a product; kAdd: what the output holds is added to them.
enum class LinearTail : int8_t { kNone, kBias, kGate, kAdd };

// A product up to its number of tokens, which is that of the class it falls in.
struct LinearShape {
  int64_t out_features = 0, in_features = 0;
  int32_t tokens = 0;  // TokenClass of the product's
  int8_t input_format = 0, x_dtype = 0, out_dtype = 0;
  LinearTail tail = LinearTail::kNone;

  auto operator<=>(const LinearShape&) const = default;
};

// Numbers of tokens that are measured, each up to 1.5 times the one before, up to 1.13 beyond 512:
// the least that is not below `tokens`.
int32_t TokenClass(int64_t tokens);

enum class LinearWay : int64_t {
  kLibrary,  // cuBLASLt; with the addition where there is one
  kSkinny,   // our own kernel for few tokens (skinny_product.h)
  kWide,     // and for many (wide_product.h); with the gate where there is one
  kApart,    // a gate or an addition is a kernel of its own, behind the product
};

struct LinearChoice {
  LinearWay way = LinearWay::kLibrary;
  cublasLtMatmulAlgo_t algorithm{};  // kLibrary
};

class LinearChoices {
 public:
  // `device` and `library` name what the choices hold for.
  explicit LinearChoices(std::string device, uint64_t library)
      : device_(std::move(device)), library_(library) {}

  std::optional<LinearChoice> Find(const LinearShape& shape) const;
  void Set(const LinearShape& shape, const LinearChoice& choice);

  // All choices as bytes.
  std::string Export() const;
  // Adds what Export gave; false, and nothing added, when it is of another device or library or no
  // such bytes.
  bool Import(const std::string& bytes);

 private:
  std::string Header() const;

  const std::string device_;
  const uint64_t library_;
  std::map<LinearShape, LinearChoice> choices_;
};

}  // namespace regatta
