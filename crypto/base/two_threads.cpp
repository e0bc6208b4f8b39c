#include "crypto/base/two_threads.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "crypto/base/byte_reader.hpp"

namespace base {
namespace {

constexpr std::uint64_t kPiece = 512U << 10;
constexpr std::uint64_t kWorthAThread = 4U << 20;

using Use = std::function<void(ByteView)>;

class Worker {  // uses pieces in the order they are given, in its own thread
 public:
  explicit Worker(const Use& use) : use_(use), thread_([this] { run(); }) {}   // std::system_error without a thread
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      is_last_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  // A buffer that nobody uses any more.
  Bytes& next_buffer() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return given_ - used_ < buffers_.size(); });
    return buffers_[given_ % buffers_.size()];
  }
  void give(std::size_t length) {   // the start of that buffer
    {
      const std::lock_guard lock(mutex_);
      lengths_[given_ % buffers_.size()] = length;
      ++given_;
    }
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return used_ != given_ || is_last_; });
      if (used_ == given_) return;
      const ByteView piece = ByteView(buffers_[used_ % buffers_.size()]).first(lengths_[used_ % buffers_.size()]);
      lock.unlock();
      use_(piece);
      lock.lock();
      ++used_;
      changed_.notify_all();
    }
  }

  const Use& use_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<Bytes, 4> buffers_;
  std::array<std::size_t, 4> lengths_{};
  std::uint64_t given_ = 0;
  std::uint64_t used_ = 0;
  bool is_last_ = false;
  std::thread thread_;   // last: it starts when everything else is there
};

}  // namespace

Result<void> for_each_piece_in_two_threads(const ByteSource& source, std::uint64_t offset, std::uint64_t length,
                                           const std::function<Result<void>(ByteView piece)>& beside, const Use& use) {
  TRY(expect_region(source.size(), offset, length));
  std::optional<Worker> worker;
  if (length >= kWorthAThread) {
    try {
      worker.emplace(use);
    } catch (const std::system_error&) {   // a jail may allow one thread only; then one has to do
      worker.reset();
    }
  }
  if (!worker)
    return for_each_piece(source, offset, length, [&](ByteView piece) -> Result<void> {
      use(piece);
      return beside(piece);
    });
  while (length > 0) {
    Bytes& buffer = worker->next_buffer();
    buffer.resize(static_cast<std::size_t>(kPiece));
    const std::span<std::uint8_t> piece(buffer.data(), static_cast<std::size_t>(std::min(length, kPiece)));
    TRY(source.read_at(offset, piece));
    worker->give(piece.size());
    TRY(beside(piece));
    offset += piece.size();
    length -= piece.size();
  }
  return {};
}

}  // namespace base
