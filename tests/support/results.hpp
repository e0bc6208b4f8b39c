// What tests do with results: take the value or stop, or expect a failure.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "crypto/base/result.hpp"

namespace tests {

// The value; an error throws its text (for what the test needs and does not test).
template <class T>
T must(base::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().text());
  return std::move(*result);
}
inline void must(const base::Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().text());
}

// Expects a failure with that code whose text contains those words.
template <class T>
void expect_error(const base::Result<T>& result, base::Errc code, const std::string& words) {
  ASSERT_FALSE(result.has_value()) << "succeeded, but should say: " << words;
  EXPECT_EQ(static_cast<int>(result.error().code()), static_cast<int>(code)) << result.error().text();
  EXPECT_NE(result.error().text().find(words), std::string::npos) << result.error().text();
}

}  // namespace tests
