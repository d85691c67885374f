//! What is no longer allowed ends at once and well, whatever it speaks and whatever the reason; what is still allowed goes on.

mod conversations;
mod matrix;
mod scene;
