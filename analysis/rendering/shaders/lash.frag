#version 330
in vec2 uv;
in vec2 lash;
out vec4 seen;
uniform vec3 lash_rgb;
uniform float density;

float chance(float x) { return fract(sin(x * 91.17) * 43758.54); }

void main() {
    if (lash.x > 0.5) {
        float from_edge = min(uv.y, 1.0 - uv.y);
        float dark = 0.72 * exp(-pow(from_edge * 4.6, 1.4)) * mix(0.65, 1.0, step(0.5, uv.y));
        seen = vec4(vec3(0.05, 0.02, 0.015) * dark, dark);
        return;
    }
    float out_to = lash.x < 0.25 ? uv.y : 1.0 - uv.y;
    float x = uv.x * 64.0, i = floor(x);
    float off = abs(fract(x + 0.35 * (chance(i) - 0.5) * out_to) - 0.5) * 2.0;
    float reach = 0.55 + 0.45 * chance(i + 7.0);
    float dark = smoothstep(1.0, 0.25, off + 0.6 * out_to / reach);
    dark *= smoothstep(reach, reach * 0.55, out_to) * density;
    dark *= smoothstep(0.0, 0.08, uv.x) * smoothstep(1.0, 0.92, uv.x) * mix(0.85, 0.0, lash.y);
    seen = vec4(lash_rgb * dark, dark);
}
