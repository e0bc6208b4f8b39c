// Errors as values. What the outside world can cause returns Result; what only our own bug can cause
// stops the program (require()). Error text: lower case, no full stop; what was found, where, what was
// wanted. Callers add context outwards with within().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace base {

// What the caller can do about a failure. The text is for people; the code is for branching.
enum class Errc : std::uint8_t {
  malformed,     // the bytes break their format
  unsupported,   // well formed, but a variant we deliberately do not handle
  too_large,     // over a limit of crypto/base/limits.hpp
  refused,       // a policy or an officer says no
  not_found,     // nothing by that name
  mismatch,      // two things that must agree do not (a digest, a signature)
  unavailable,   // cannot be done now; trying again later may help
  io,            // a device or file system failed
  no_space,      // the medium is full
  tpm,           // the TPM refused or failed
  usage,         // the person's command is wrong
};

class Error {
 public:
  Error(Errc code, std::string text) : code_(code), text_(std::move(text)) {}
  Errc code() const { return code_; }
  const std::string& text() const { return text_; }
  Error within(std::string_view context) const { return {code_, std::string(context) + ": " + text_}; }

 private:
  Errc code_;
  std::string text_;
};

// std::expected arrives with GCC 13; this alias is the only place that will change.
template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using Value = T;
  using tl::expected<T, Error>::expected;
};

inline tl::unexpected<Error> fail(Errc code, std::string text) {
  return tl::unexpected<Error>(Error(code, std::move(text)));
}

// The same result, its error prefixed with where it happened.
template <class T>
Result<T> within(std::string_view context, Result<T> result) {
  if (!result) return tl::unexpected<Error>(result.error().within(context));
  return result;
}

// A place in the source. (std::source_location, which clang 14 lacks with this library and the fuzzers need.)
struct Where {
  const char* file;
  unsigned line;
  static constexpr Where here(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }
};

// Stops the program, in release too: for what only our own bug can cause.
[[noreturn]] void stop(std::string_view what, const Where& where = Where::here());
inline void require(bool holds, std::string_view what, const Where& where = Where::here()) {
  if (!holds) stop(what, where);
}

namespace detail {
template <class T>
T take(Result<T>& result) {
  return std::move(*result);
}
inline void take(Result<void>&) {}
}  // namespace detail

#define COLDSEAL_TRY_JOIN_(a, b) a##b
#define COLDSEAL_TRY_NAME_(a, b) COLDSEAL_TRY_JOIN_(a, b)
#define COLDSEAL_TRY_(result_name, ...)                                                               \
  __extension__({                                                                                     \
    auto result_name = (__VA_ARGS__);                                                                 \
    if (!result_name) return ::tl::unexpected<::base::Error>(std::move(result_name).error());         \
    ::base::detail::take(result_name);                                                                \
  })

// Yields the value, or returns the error from the enclosing function. Use it as a whole statement, a whole
// initialiser, or the only argument of a call on something that has a name: leaving a larger expression early
// would skip the destructors of its temporaries.
#define TRY(...) COLDSEAL_TRY_(COLDSEAL_TRY_NAME_(try_result_, __COUNTER__), __VA_ARGS__)

}  // namespace base
