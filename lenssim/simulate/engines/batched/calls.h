// What calls the loops of a kernel, in the place of torch's headers.
//
// torch writes the calls, `run_impl`, for headers that g++ reads and compiles for six seconds a
// kernel. This file declares what `run_impl` uses, by the same names, and exports what torch's
// loader asks for. It uses torch's stable C interface alone. calls.py puts the two together.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

struct AtenTensorOpaque;
using AtenTensorHandle = AtenTensorOpaque*;

extern "C" {
int32_t aoti_torch_device_type_cpu();
int32_t aoti_torch_dtype_bool();
int32_t aoti_torch_dtype_int32();
int32_t aoti_torch_dtype_int64();
int32_t aoti_torch_dtype_float32();
int32_t aoti_torch_dtype_float64();
int32_t aoti_torch_get_data_ptr(AtenTensorHandle, void**);
int32_t aoti_torch_get_sizes(AtenTensorHandle, int64_t**);
int32_t aoti_torch_get_strides(AtenTensorHandle, int64_t**);
int32_t aoti_torch_delete_tensor_object(AtenTensorHandle);
int32_t aoti_torch_empty_strided(
    int64_t, const int64_t*, const int64_t*, int32_t, int32_t, int32_t, AtenTensorHandle*);
int32_t aoti_torch__reinterpret_tensor(
    AtenTensorHandle, int64_t, const int64_t*, const int64_t*, int64_t, AtenTensorHandle*);
}

#define CACHE_TORCH_DTYPE(name) static auto cached_torch_dtype_##name = aoti_torch_dtype_##name()
#define CACHE_TORCH_DEVICE(name) \
  static auto cached_torch_device_type_##name = aoti_torch_device_type_##name()
#define AOTI_TORCH_ERROR_CODE_CHECK(call) \
  if ((call) != 0) throw "failed: " #call

// what calls.py writes of a kernel
extern const size_t NUM_OUTPUTS;
extern const char* const IN_SPEC;
extern const char* const OUT_SPEC;

namespace c10 {
inline int64_t div_floor_integer(int64_t a, int64_t b) {
  const int64_t quotient = a / b;
  return quotient - ((a % b != 0) && ((a < 0) != (b < 0)));
}
}  // namespace c10

namespace torch::aot_inductor {

using DeviceStreamType = void*;
using AOTIProxyExecutorHandle = void*;

class RAIIAtenTensorHandle {
 public:
  RAIIAtenTensorHandle() = default;
  RAIIAtenTensorHandle(AtenTensorHandle handle) : handle_(handle) {}
  RAIIAtenTensorHandle(const RAIIAtenTensorHandle&) = delete;
  RAIIAtenTensorHandle(RAIIAtenTensorHandle&& other) : handle_(other.release()) {}
  RAIIAtenTensorHandle& operator=(const RAIIAtenTensorHandle&) = delete;
  RAIIAtenTensorHandle& operator=(RAIIAtenTensorHandle&& other) {
    reset();
    handle_ = other.release();
    return *this;
  }
  ~RAIIAtenTensorHandle() { reset(); }

  operator AtenTensorHandle() const { return handle_; }
  AtenTensorHandle get() const { return handle_; }
  AtenTensorHandle release() { return std::exchange(handle_, nullptr); }
  void reset() {
    if (handle_ != nullptr) aoti_torch_delete_tensor_object(release());
  }
  void* data_ptr() const {
    void* result = nullptr;
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_get_data_ptr(handle_, &result));
    return result;
  }
  int64_t* sizes() const {
    int64_t* result = nullptr;
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_get_sizes(handle_, &result));
    return result;
  }
  int64_t* strides() const {
    int64_t* result = nullptr;
    AOTI_TORCH_ERROR_CODE_CHECK(aoti_torch_get_strides(handle_, &result));
    return result;
  }

 private:
  AtenTensorHandle handle_ = nullptr;
};

constexpr size_t MOST_INPUTS = 32;

class Inputs {
 public:
  RAIIAtenTensorHandle& operator[](size_t number) { return handles_[number]; }
  void clear() {
    for (auto& handle : handles_) handle.reset();
  }

 private:
  RAIIAtenTensorHandle handles_[MOST_INPUTS];
};

inline Inputs steal_from_raw_handles_to_raii_handles(AtenTensorHandle* handles, size_t count) {
  Inputs result;
  for (size_t i = 0; i < count; i++) result[i] = std::exchange(handles[i], nullptr);
  return result;
}

inline RAIIAtenTensorHandle wrap_with_raii_handle_if_needed(AtenTensorHandle handle) {
  return handle;
}

inline AtenTensorHandle reinterpret_tensor_wrapper(
    AtenTensorHandle self,
    int64_t count,
    const int64_t* sizes,
    const int64_t* strides,
    int64_t offset) {
  AtenTensorHandle result = nullptr;
  AOTI_TORCH_ERROR_CODE_CHECK(
      aoti_torch__reinterpret_tensor(self, count, sizes, strides, offset, &result));
  return result;
}

// torch checks inputs only where a variable of the environment asks for it
constexpr bool _check_aoti_runtime_check_inputs_env() { return false; }
inline void __check_inputs_outputs(AtenTensorHandle*, AtenTensorHandle*) {}
inline void assert_size_stride(
    AtenTensorHandle, std::initializer_list<int64_t>, std::initializer_list<int64_t>, const char*) {
}

struct AOTInductorModelKernels {
  AOTInductorModelKernels* get() { return this; }
};

struct AOTInductorModel {
  int32_t device_idx_ = -1;
  AOTInductorModelKernels kernels_;

  void run_impl(
      AtenTensorHandle* inputs,
      AtenTensorHandle* outputs,
      DeviceStreamType stream,
      AOTIProxyExecutorHandle executor);
};

}  // namespace torch::aot_inductor

static thread_local const char* last_error = "";

static int32_t run(void* model, AtenTensorHandle* inputs, AtenTensorHandle* outputs) {
  try {
    static_cast<torch::aot_inductor::AOTInductorModel*>(model)->run_impl(
        inputs, outputs, nullptr, nullptr);
  } catch (const char* text) {
    last_error = text;
    return 1;
  } catch (...) {
    last_error = "a kernel failed";
    return 1;
  }
  return 0;
}

#define REFUSED(name)                      \
  int32_t name() {                         \
    last_error = "kernels hold no values"; \
    return 1;                              \
  }

#pragma GCC visibility push(default)
extern "C" {
int32_t AOTInductorModelContainerCreateWithDevice(
    void** container, size_t, const char*, const char*) {
  *container = new torch::aot_inductor::AOTInductorModel;
  return 0;
}

int32_t AOTInductorModelContainerDelete(void* container) {
  delete static_cast<torch::aot_inductor::AOTInductorModel*>(container);
  return 0;
}

int32_t AOTInductorModelContainerRun(
    void* container,
    AtenTensorHandle* inputs,
    size_t,
    AtenTensorHandle* outputs,
    size_t,
    void*,
    void*) {
  return run(container, inputs, outputs);
}

int32_t AOTInductorModelContainerRunSingleThreaded(
    void* container,
    AtenTensorHandle* inputs,
    size_t,
    AtenTensorHandle* outputs,
    size_t,
    void*,
    void*) {
  return run(container, inputs, outputs);
}

int32_t AOTInductorModelContainerGetNumOutputs(void*, size_t* count) {
  *count = NUM_OUTPUTS;
  return 0;
}

int32_t AOTInductorModelContainerGetNumConstants(void*, size_t* count) {
  *count = 0;
  return 0;
}

int32_t AOTInductorModelContainerGetConstantsBlobSize(void*, uint64_t* size) {
  *size = 0;
  return 0;
}

int32_t AOTInductorModelContainerDidCallLoadConstants(void*, bool* result) {
  *result = false;
  return 0;
}

int32_t AOTInductorModelContainerGetCallSpec(void*, const char** in, const char** out) {
  *in = IN_SPEC;
  *out = OUT_SPEC;
  return 0;
}

int32_t AOTInductorGetLastError(const char** text) {
  *text = last_error;
  return 0;
}

REFUSED(AOTInductorModelContainerCreateWithExternalConstants)
REFUSED(AOTInductorModelContainerExtractConstantsMap)
REFUSED(AOTInductorModelContainerFreeInactiveConstantBuffer)
REFUSED(AOTInductorModelContainerGetConstantDtype)
REFUSED(AOTInductorModelContainerGetConstantName)
REFUSED(AOTInductorModelContainerGetConstantOriginalFQN)
REFUSED(AOTInductorModelContainerRunConstantFolding)
REFUSED(AOTInductorModelContainerSwapConstantBuffer)
REFUSED(AOTInductorModelContainerUpdateConstantBuffer)
REFUSED(AOTInductorModelContainerUpdateConstantBufferFromCpu)
REFUSED(AOTInductorModelContainerUpdateInactiveConstantBuffer)
REFUSED(AOTInductorModelContainerUpdateUserManagedConstantBuffer)
REFUSED(AOTInductorModelUpdateConstantsFromBlob)
}
#pragma GCC visibility pop
