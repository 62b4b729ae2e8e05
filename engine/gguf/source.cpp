#include "engine/gguf/source.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace amlm {

namespace {

std::string open_reason(int error) {
  switch (error) {
    case ENOENT: return "there is no such file; check the path";
    case EACCES: return "you may not read it; check its permissions and those of its folders";
    case ELOOP: return "too many symbolic links; one of them points back to itself";
    case ESTALE: return "the network file handle is stale; mount the file system again";
    case ENAMETOOLONG: return "the path is too long";
    default: return std::strerror(error);
  }
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory; give the .gguf file inside it";
  if (S_ISFIFO(mode)) return "a pipe; a model must be a regular file";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device; a model must be a regular file";
  if (S_ISSOCK(mode)) return "a socket; a model must be a regular file";
  return "not a regular file";
}

}  // namespace

Result<std::shared_ptr<ByteSource>> ByteSource::open(const std::string& path) {
  if (path.find('\0') != std::string::npos) return fail(ErrorCode::file, "the model's path contains a NUL byte");
  // O_NONBLOCK: opening a pipe without a writer must not wait for ever.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    const int error = errno;
    return fail(ErrorCode::file, "cannot open the model " + quoted(path) + ": " + open_reason(error), error);
  }
  std::shared_ptr<ByteSource> source(new ByteSource);
  source->fd_ = fd;
  source->name_ = path;
  struct stat status {};
  if (fstat(fd, &status) != 0) {
    const int error = errno;
    return fail(ErrorCode::file, "cannot examine the model " + quoted(path) + ": " + open_reason(error), error);
  }
  if (!S_ISREG(status.st_mode))
    return fail(ErrorCode::file, "the model " + quoted(path) + " is " + kind_of(status.st_mode));
  source->size_bytes_ = static_cast<u64>(status.st_size);
  source->header_reserved_ = std::min(source->size_bytes_, header_limit_bytes);
  if (source->header_reserved_ == 0) return source;
  void* mapping = mmap(nullptr, source->header_reserved_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) return fail(ErrorCode::memory, "no memory for the header of the model", errno);
  source->header_mapping_ = static_cast<u8*>(mapping);
  source->header_ = source->header_mapping_;
  return source;
}

std::shared_ptr<ByteSource> ByteSource::from_bytes(std::span<const u8> bytes, std::string name) {
  std::shared_ptr<ByteSource> source(new ByteSource);
  source->name_ = std::move(name);
  source->in_memory_ = true;
  source->size_bytes_ = bytes.size();
  source->header_ = bytes.data();
  source->header_loaded_ = bytes.size();
  return source;
}

ByteSource::~ByteSource() {
  if (header_mapping_) munmap(header_mapping_, header_reserved_);
  if (fd_ >= 0) close(fd_);
}

Result<void> ByteSource::load_header(u64 end) {
  check(end <= size_bytes_ && end <= header_limit_bytes, "header range");
  if (end <= header_loaded_) return {};
  constexpr u64 step_bytes = u64{1} << 20;
  const u64 wanted = std::min(std::max(end, header_loaded_ + step_bytes), header_reserved_);
  TRY_VOID(read(header_loaded_, {header_mapping_ + header_loaded_, wanted - header_loaded_}));
  header_loaded_ = wanted;
  return {};
}

Result<void> ByteSource::read(u64 offset_bytes, std::span<u8> target) const {
  if (offset_bytes > size_bytes_ || target.size() > size_bytes_ - offset_bytes)
    return fail(ErrorCode::bad_model, "a read of " + std::to_string(target.size()) + " bytes at " +
                                          std::to_string(offset_bytes) + " goes past the end of the model file");
  if (in_memory_) {
    if (!target.empty()) std::memcpy(target.data(), header_ + offset_bytes, target.size());
    return {};
  }
  u64 done = 0;
  while (done < target.size()) {
    const ssize_t got = pread(fd_, target.data() + done, target.size() - done,
                              static_cast<off_t>(offset_bytes + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      return fail(ErrorCode::file, "cannot read " + quoted(name_) + " at byte " +
                                       std::to_string(offset_bytes + done) + ": " + open_reason(error), error);
    }
    if (got == 0)
      return fail(ErrorCode::file, quoted(name_) + " became shorter while it was read: it had " +
                                       std::to_string(size_bytes_) + " bytes and now ends before byte " +
                                       std::to_string(offset_bytes + done) +
                                       "; do not replace a model that is in use");
    done += static_cast<u64>(got);
  }
  return {};
}

std::string quoted(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text.substr(0, 80)) {
    const u8 byte = static_cast<u8>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  if (text.size() > 80) out += "...";
  return out + "'";
}

}  // namespace amlm
