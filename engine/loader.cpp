#include "engine/loader.h"

#include <emmintrin.h>
#include <smmintrin.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

namespace amlm {

namespace {

constexpr u64 slice_bytes = u64{4} << 20;
constexpr u32 thread_limit = 8;              // an SSD is busy with fewer
constexpr u64 page_bytes = 4096;

// Weights are mapped write-combined: plain loads from there are a bus transaction each, streaming loads a cache line.
__attribute__((target("sse4.1"))) void read_write_combined(u8* target, const u8* source, u64 size) {
  u64 at = 0;
  const bool aligned = (reinterpret_cast<u64>(source) | reinterpret_cast<u64>(target)) % 16 == 0;
  for (; aligned && at + 16 <= size; at += 16) {
    auto* from = const_cast<__m128i*>(reinterpret_cast<const __m128i*>(source + at));
    _mm_store_si128(reinterpret_cast<__m128i*>(target + at), _mm_stream_load_si128(from));
  }
  std::memcpy(target + at, source + at, size - at);
}

struct Scratch {
  std::vector<u8> raw, packed;
  std::array<u8*, 4> place(const PlaneLayout& layout, u64 rows) {
    std::array<u8*, 4> out{};
    u64 offset = 0;
    for (u32 p = 0; p < layout.count; ++p) {
      out[p] = packed.data() + offset;
      offset += (layout.planes[p].row_bytes * rows + 63) / 64 * 64;
    }
    return out;
  }
  void reserve(const PlaneLayout& layout, u64 rows) {
    const u64 bytes = layout.packed_row_bytes() * rows + 4 * 64;
    if (raw.size() < bytes) raw.resize(bytes);
    if (packed.size() < bytes) packed.resize(bytes);
  }
};

u64 hash_planes(const PlaneLayout& layout, u64 rows, const std::array<u8*, 4>& planes) {
  u64 hash = 0;
  for (u32 p = 0; p < layout.count; ++p)
    hash = XXH3_64bits_withSeed(planes[p], layout.planes[p].row_bytes * rows, hash);
  return hash;
}

std::string tensor_text(const Weights::Entry& entry) { return "tensor " + quoted(entry.tensor->name); }

// Work on all slices with all cores, the callback on the caller's thread. Stops at the first error.
class Crew {
 public:
  using Work = std::function<Result<void>(Weights::Slice&, Scratch&)>;

  Crew(std::vector<Weights::Slice>& slices, const std::vector<Weights::Entry>& entries, const LoadOptions& options,
       u64 total_bytes, const char* stage)
      : slices_(slices), entries_(entries), options_(options), total_bytes_(total_bytes), stage_(stage) {}

  Result<void> run(const Work& work) {
    const u32 threads = std::clamp<u32>(std::thread::hardware_concurrency(), 1, thread_limit);
    running_ = threads;
    std::vector<std::jthread> crew;
    for (u32 i = 0; i < threads; ++i) crew.emplace_back([&] { member(work); });
    const auto start = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!done_.wait_for(lock, std::chrono::milliseconds(100), [&] { return running_ == 0; })) {
      if (options_.cancelled && options_.cancelled->load()) stop_ = true;
      lock.unlock();
      report(start);
      lock.lock();
    }
    lock.unlock();
    crew.clear();
    if (error_.code != ErrorCode::ok) return std::unexpected(error_);
    if (options_.cancelled && options_.cancelled->load())
      return fail(ErrorCode::interrupted, "loading was interrupted");
    report(start);
    return {};
  }

 private:
  void member(const Work& work) {
    Scratch scratch;
    for (;;) {
      const u64 index = next_.fetch_add(1);
      if (index >= slices_.size() || stop_) break;
      auto result = work(slices_[index], scratch);
      done_bytes_ += entries_[slices_[index].entry].layout.packed_row_bytes() * slices_[index].rows;
      if (result) continue;
      const std::lock_guard lock(mutex_);
      if (error_.code == ErrorCode::ok) error_ = result.error();
      stop_ = true;
    }
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_all();
  }

  void report(std::chrono::steady_clock::time_point start) const {
    if (!options_.on_progress) return;
    const std::chrono::duration<f64> elapsed = std::chrono::steady_clock::now() - start;
    options_.on_progress({done_bytes_.load(), total_bytes_, elapsed.count(), stage_});
  }

  std::vector<Weights::Slice>& slices_;
  const std::vector<Weights::Entry>& entries_;
  const LoadOptions& options_;
  u64 total_bytes_;
  const char* stage_;
  std::atomic<u64> next_ = 0, done_bytes_ = 0;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable done_;
  u32 running_ = 0;
  Error error_{ErrorCode::ok, 0, {}};
};

}  // namespace

std::vector<Weight> weights_to_load(const Model& model) {
  std::vector<Weight> out{model.embedding(), model.output_norm()};
  if (!model.output_is_tied()) out.push_back(model.output());
  for (const LayerWeights& w : model.layers())
    out.insert(out.end(), {w.attn_norm, w.wq, w.wk, w.wv, w.wo, w.ffn_norm, w.gate, w.up, w.down});
  return out;
}

Result<Weights> Weights::load(Device& device, const Model& model, const LoadOptions& options) {
  Weights out;
  out.model_ = &model;
  TRY_VOID(out.allocate(device, model));
  out.cut_slices();
  TRY_VOID(out.fill(model, options));
  TRY_VOID(out.verify(options));
  return out;
}

Result<void> Weights::allocate(Device& device, const Model& model) {
  entry_by_tensor_.assign(model.file().tensors().size(), ~0u);
  for (const Weight& weight : weights_to_load(model)) {
    const PlaneLayout layout = plane_layout(weight.type, weight.rows, weight.columns);
    const u64 size_bytes = (layout.size_bytes + page_bytes - 1) / page_bytes * page_bytes;
    Buffer buffer = TRY(device.allocate({.size_bytes = size_bytes, .use = MemoryUse::weights,
                                         .label = std::string(weight.tensor->name)}));
    entry_by_tensor_[static_cast<size_t>(weight.tensor - model.file().tensors().data())] =
        static_cast<u32>(entries_.size());
    entries_.push_back({weight.tensor, weight, layout, std::move(buffer)});
  }
  return {};
}

void Weights::cut_slices() {
  for (u32 i = 0; i < entries_.size(); ++i) {
    const u64 row_bytes = entries_[i].layout.packed_row_bytes(), rows = entries_[i].weight.rows;
    const u64 step = std::max<u64>(1, slice_bytes / row_bytes);
    for (u64 first = 0; first < rows; first += step) slices_.push_back({i, first, std::min(step, rows - first), 0});
    total_bytes_ += row_bytes * rows;
  }
}

Result<void> Weights::fill(const Model& model, const LoadOptions& options) {
  std::vector<std::atomic<bool>> nonzero(entries_.size());
  const auto bring = [&](Slice& slice, Scratch& scratch) -> Result<void> {
    const Entry& entry = entries_[slice.entry];
    scratch.reserve(entry.layout, slice.rows);
    const u64 row_bytes = entry.layout.packed_row_bytes();
    const std::span<u8> raw(scratch.raw.data(), row_bytes * slice.rows);
    TRY_VOID(model.file().read(*entry.tensor, slice.first_row * row_bytes, raw));
    const BlockScan scan = scan_blocks(entry.weight.type, raw);
    if (!scan.finite)
      return fail(ErrorCode::bad_model, tensor_text(entry) + " holds a number that is not finite, in rows " +
                                            std::to_string(slice.first_row) + " to " +
                                            std::to_string(slice.first_row + slice.rows - 1) +
                                            "; the file is damaged");
    if (scan.nonzero) nonzero[slice.entry] = true;
    const std::array<u8*, 4> packed = scratch.place(entry.layout, slice.rows);
    pack_rows(entry.weight.type, entry.layout, raw, slice.rows, packed);
    slice.hash = hash_planes(entry.layout, slice.rows, packed);
    for (u32 p = 0; p < entry.layout.count; ++p) {
      const PlaneLayout::Plane& plane = entry.layout.planes[p];
      std::memcpy(entry.buffer.data() + plane.offset_bytes + slice.first_row * plane.row_bytes, packed[p],
                  plane.row_bytes * slice.rows);
    }
    return {};
  };
  Crew crew(slices_, entries_, options, total_bytes_, "reading weights");
  TRY_VOID(crew.run(bring));
  // A layer may be all zeros on purpose; these never are, and holes of a broken download are zeros.
  for (const Weight* weight : {&model.embedding(), &model.output_norm(), &model.output()})
    if (const u32 index = entry_by_tensor_[static_cast<size_t>(weight->tensor - model.file().tensors().data())];
        !nonzero[index])
      return fail(ErrorCode::bad_model,
                  tensor_text(entries_[index]) + " is all zeros; the download is incomplete or the file damaged");
  return {};
}

Result<void> Weights::verify(const LoadOptions& options) const {
  std::vector<Slice> slices = slices_;
  Crew crew(slices, entries_, options, total_bytes_, "verifying weights");
  return crew.run([&](Slice& slice, Scratch& scratch) -> Result<void> {
    const Entry& entry = entries_[slice.entry];
    scratch.reserve(entry.layout, slice.rows);
    const std::array<u8*, 4> packed = scratch.place(entry.layout, slice.rows);
    for (u32 p = 0; p < entry.layout.count; ++p) {
      const PlaneLayout::Plane& plane = entry.layout.planes[p];
      read_write_combined(packed[p], entry.buffer.data() + plane.offset_bytes + slice.first_row * plane.row_bytes,
                          plane.row_bytes * slice.rows);
    }
    if (hash_planes(entry.layout, slice.rows, packed) == slice.hash) return {};
    return fail(ErrorCode::failed, tensor_text(entry) + " differs in GPU memory from what was written there (rows " +
                                       std::to_string(slice.first_row) + " to " +
                                       std::to_string(slice.first_row + slice.rows - 1) +
                                       "); the memory or its mapping is at fault");
  });
}

const Weights::Entry& Weights::entry_of(const Weight& weight) const {
  check(model_ && weight.tensor, "a weight of the loaded model");
  const u32 index = entry_by_tensor_[static_cast<size_t>(weight.tensor - model_->file().tensors().data())];
  check(index != ~0u, "a weight that was loaded");
  return entries_[index];
}

const Buffer& Weights::buffer(const Weight& weight) const { return entry_of(weight).buffer; }

kernels::Matrix Weights::matrix(const Weight& weight) const {
  const Entry& entry = entry_of(weight);
  return matrix_at(entry.layout, entry.buffer.va());
}

u64 Weights::vector(const Weight& weight) const { return entry_of(weight).buffer.va(); }

}  // namespace amlm
