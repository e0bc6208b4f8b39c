// Requests that are left alone for a while because of something about them: each by itself, longer each time, so that none keeps others
// waiting. Not written down: after a restart all are tried again.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace appliance {

class PutOff {
 public:
  using Moment = std::chrono::steady_clock::time_point;
  // Forgets all but these, which are sorted.
  void keep_only(const std::vector<std::string>& ids);
  bool holds(const std::string& id, Moment now) const;
  // For how long; none when so many are put off already that this one is not remembered.
  std::chrono::seconds put_off(const std::string& id, Moment now);
  // Its answer went out already, and only what lies there of it is to be removed.
  void remember_answered(const std::string& id);
  bool was_answered(const std::string& id) const;

 private:
  struct Entry {
    Moment again_at{};
    std::chrono::seconds wait{0};
    bool is_answered = false;
  };
  Entry* entry(const std::string& id);   // none when there are too many
  std::map<std::string, Entry> entries_;
};

}  // namespace appliance
